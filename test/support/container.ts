/**
 * A model's container that misbehaves where it is told to. It predicts the sum of a record's numbers, times the
 * `factor` in model.json.
 *
 * Variables: PING (status of /ping, `exit` or `slow`), PIDS_FILE (where it appends its process id).
 * Records: `boom` gives status 500, `bad` 400, `once` 503 the first time, `hang` no answer, `slow` one when GO_FILE is
 * there, `die` ends it, `short` an answer with fewer records, `many` one with more, `garbage` bytes that are no text,
 * `env` its environment, `echo` what it was sent.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const { env } = process;
const command = process.argv.at(-1);
let refused = false;
if (env.PIDS_FILE !== undefined) appendFileSync(env.PIDS_FILE, `${process.pid}\n`);

if (command === 'train') {
  console.log(`training with ${env.SM_HP_DEPTH}`);
  console.error('a warning');
  if (env.TRAIN === 'hang') setInterval(() => undefined, 1000);
  else process.exitCode = Number(env.TRAIN ?? 0);
} else if (env.PING === 'exit') {
  console.error('no model here');
  process.exitCode = 3;
} else {
  createServer((request, response) => {
    void (request.url === '/ping' ? ping(response) : invoke(request, response));
  }).listen(Number(env.SAGEMAKER_BIND_TO_PORT), '127.0.0.1');
}

function ping(response: ServerResponse): void {
  if (env.PING === 'slow') return;
  response.writeHead(Number(env.PING ?? 200)).end();
}

async function invoke(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await new Response(request as unknown as ReadableStream).text();
  const file = join(env.SM_MODEL_DIR ?? '', 'model.json');
  const factor: number = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).factor : 1;
  const accept = request.headers.accept ?? 'text/csv';
  response.setHeader('content-type', accept);
  const records = body.split('\n').filter((line) => line !== '');
  const [first = ''] = records;
  if (first === 'slow') {
    console.log('a slow request');
    while (!existsSync(env.GO_FILE ?? '')) await sleep(10);
  }
  if (records.includes('die')) process.exit(9);
  if (records.includes('hang')) return;
  if (records.includes('boom')) response.writeHead(500).end('cannot predict this record');
  else if (records.includes('bad')) response.writeHead(400).end('bad record');
  else if (records.includes('once') && !refused) {
    refused = true;
    response.writeHead(503).end('not yet');
  } else if (first === 'garbage') response.end(Buffer.from([0xff, 0xfe, 0x00]));
  else if (first === 'env') response.end(JSON.stringify(env));
  else if (first === 'echo') response.end(JSON.stringify({ headers: request.headers, body }));
  else {
    const predictions = records.map((record) => predict(record, factor, accept));
    if (records.includes('short')) predictions.pop();
    if (records.includes('many')) predictions.push('0');
    response.end(predictions.join('\n'));
  }
}

function predict(record: string, factor: number, accept: string): string {
  const numbers = record.startsWith('{')
    ? Object.values(JSON.parse(record)).flat()
    : record.startsWith('[')
      ? JSON.parse(record)
      : record.split(',');
  const sum = (numbers as unknown[])
    .map(Number)
    .filter(Number.isFinite)
    .reduce((a, b) => a + b, 0);
  return accept.includes('json')
    ? JSON.stringify({ score: sum * factor, parts: [sum, factor] })
    : String(sum * factor);
}
