import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseDocument } from 'yaml';
import { ready, readyCommand } from '../bin/commands/ready.ts';
import { EXIT } from '../bin/shared/cli.ts';
import * as live from '../bin/shared/parity-live.ts';
import { ReleasePipeline } from '../examples/codepipeline/pipeline.ts';
import { capture } from './bin/support.ts';
import { mayDo } from './support/access.ts';
import { policyOf } from './support/permissions.ts';
import { callsOf, DATA, EVIDENCE, NOW, PACKAGE, ReleaseWorld } from './support/release.ts';
import { REGION } from './support/synthesize.ts';

vi.mock(import('../bin/shared/parity-live.ts'), { spy: true });

interface Step {
  run?: string;
  uses?: string;
  shell?: string;
  if?: string;
  with?: Record<string, unknown>;
}

interface Workflow {
  on: Record<string, unknown>;
  permissions: Record<string, string>;
  env: Record<string, string>;
  jobs: Record<string, { needs?: string; steps: Step[] }>;
}

interface Buildspec {
  version: number;
  env: { shell: string };
  phases: Record<string, { commands: string[] }>;
  reports: Record<string, { files: string[]; 'file-format': string }>;
}

function yamlOf<T>(file: string): T {
  const document = parseDocument(readFileSync(join('examples', file), 'utf8'), { uniqueKeys: true });
  expect(document.errors).toEqual([]);
  expect(document.warnings).toEqual([]);
  return document.toJS() as T;
}

const workflow = yamlOf<Workflow>('github-actions/release.yml');
const buildspec = yamlOf<Buildspec>('codepipeline/buildspec.yml');

/** The scripts of what refuses a release, in their order. */
const SCRIPTS = {
  'GitHub Actions': (workflow.jobs.ready?.steps ?? []).flatMap(({ run }) => run ?? []),
  CodePipeline: Object.values(buildspec.phases).flatMap(({ commands }) => commands),
};

describe('examples/github-actions/release.yml', () => {
  test('has the shape of a workflow: a release by hand, of one package', () => {
    expect(workflow.on).toMatchObject({
      workflow_dispatch: { inputs: { package: { required: true, type: 'string' } } },
    });
    expect(workflow.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    for (const { steps } of Object.values(workflow.jobs)) {
      for (const step of steps) {
        // Exactly one of both.
        expect([step.run, step.uses].filter((one) => one !== undefined)).toHaveLength(1);
        expect(step.uses ?? 'a/b@v1').toMatch(/^[\w-]+\/[\w-]+@v\d+$/);
      }
    }
  });

  test('deploys behind what refuses, and keeps the test report also where it does', () => {
    expect(workflow.jobs.release?.needs).toBe('ready');
    const upload = workflow.jobs.ready?.steps.at(-1);
    expect([upload?.if, upload?.with?.path]).toEqual(['always()', 'ready.xml']);
  });

  test('takes what somebody has typed for no command', () => {
    for (const { steps } of Object.values(workflow.jobs)) {
      for (const { run = '' } of steps) expect(run).not.toContain('${{');
    }
  });
});

describe('examples/codepipeline/buildspec.yml', () => {
  test('has the shape of a buildspec, whose test report is the JUnit file', () => {
    expect(buildspec).toMatchObject({ version: 0.2, env: { shell: 'bash' } });
    expect(Object.keys(buildspec.phases)).toEqual(['install', 'pre_build', 'build']);
    expect(buildspec.reports).toEqual({ readiness: { files: ['ready.xml'], 'file-format': 'JUNITXML' } });
  });
});

describe('examples/codepipeline/pipeline.ts', () => {
  const stack = new ReleasePipeline(new App({ analyticsReporting: false }), 'Release', {
    connectionArn: `arn:aws:codeconnections:${REGION}:111122223333:connection/1`,
    owner: 'team',
    repo: 'flights',
    model: 'flight-delay',
    group: 'flight-delay',
    tocsin: 'Tocsin',
    evidenceBucket: EVIDENCE,
    dataBucket: DATA,
    golden: ['flight-delay-release/golden.jsonl', 'flight-delay-booking-staging/golden.jsonl'],
    endpoints: ['flight-delay-release-staging'],
    environmentRoles: ['arn:aws:iam::444455556666:role/parity'],
  });
  const template = Template.fromStack(stack);
  const policy = policyOf(template, 'ReadyProjectRole');

  test('refuses before it deploys, and both are told the same package', () => {
    template.hasResourceProperties('AWS::CodePipeline::Pipeline', {
      PipelineType: 'V2',
      Variables: [Match.objectLike({ Name: 'package' })],
      Stages: [
        Match.objectLike({ Name: 'Source' }),
        Match.objectLike({
          Name: 'Ready',
          Actions: [variablesOf('"value":"#{variables.package}"')],
        }),
        Match.objectLike({ Name: 'Release', Actions: [variablesOf('"value":"#{variables.package}"')] }),
      ],
    });
    template.hasResourceProperties('AWS::CodeBuild::Project', {
      Source: { BuildSpec: 'examples/codepipeline/buildspec.yml' },
    });
  });

  test('lets the stage make every call that is made, and nothing that changes anything', async () => {
    const world = new ReleaseWorld();
    try {
      vi.mocked(live.readLive).mockImplementation(async () => world.snapshots as never);
      const options = {
        model: 'flight-delay',
        environment: 'production',
        config: world.path('tocsin.yaml'),
        outputs: world.path('cdk-outputs.json'),
      };
      expect(await ready(options, capture(), () => NOW)).toBe(EXIT.pass);
      const calls = callsOf(world, REGION);
      expect(calls.length).toBeGreaterThan(30);
      const refused = [];
      for (const { action, resource } of calls) {
        if (!(await mayDo(policy, action, resource))) refused.push(`${action} ${resource}`);
      }
      expect(refused).toEqual([]);
    } finally {
      world.restore();
      vi.mocked(live.readLive).mockReset();
    }
    expect(await mayDo(policy, 's3:GetObject', `arn:aws:s3:::${DATA}/flights/2001-04.parquet`)).toBe(false);
    expect(await mayDo(policy, 's3:PutObject', `arn:aws:s3:::${EVIDENCE}/evidence/x`)).toBe(false);
    expect(
      await mayDo(
        policy,
        'sagemaker:UpdateModelPackage',
        `arn:aws:sagemaker:${REGION}:111122223333:model-package/flight-delay/1`,
      ),
    ).toBe(false);
  });
});

function variablesOf(text: string) {
  return Match.objectLike({
    Configuration: Match.objectLike({
      EnvironmentVariables: Match.stringLikeRegexp(text.replace(/[{}.]/g, '\\$&')),
    }),
  });
}

// ---------------------------------------------------------------------------------------------------------
// What the scripts do
// ---------------------------------------------------------------------------------------------------------

const TOCSIN = /\bnpx --no-install tocsin (.+)$/m;

describe.each(Object.entries(SCRIPTS))('the scripts of %s', (_, scripts) => {
  const line = scripts.map((script) => TOCSIN.exec(script)?.[1]).find((found) => found !== undefined) ?? '';
  const [name, ...args] = line
    .split(' ')
    .map((word) => word.replace(/^"\$(\w+)"$/, (_, variable: string) => VALUES[variable] ?? ''));

  test('have one command line of Tocsin, which the CLI takes', async () => {
    let asked: unknown;
    const command = readyCommand(capture())
      .exitOverride()
      .action((options: unknown) => {
        asked = options;
      });
    expect(name).toBe('ready');
    await command.parseAsync(args, { from: 'user' });
    expect(asked).toMatchObject({
      model: 'flight-delay',
      environment: 'production',
      package: PACKAGE,
      explain: true,
      junit: 'ready.xml',
    });
  });

  test('write the outputs of the stack, and stop where a gap is open, with a report', async () => {
    const { code, out, err } = await runAll(scripts);
    expect(JSON.parse(readFileSync(world.path('cdk-outputs.json'), 'utf8'))).toEqual({
      Tocsin: {
        EvidenceBucket: EVIDENCE,
        DataBucket: DATA,
        NotificationTopic: 'arn:aws:sns:us-east-1:000000000000:t',
      },
    });
    expect({ code, err }).toEqual({ code: EXIT.failed, err: '' });
    expect(out).toMatch(/^✗ NEVER +2 Rollback/m);
    expect(out).toMatch(
      /^NOT READY flight-delay \(arn:\S+\/1\) must not be released to production: 5 gaps are open/m,
    );
    expect(out).not.toContain('released\n');
    const report = readFileSync(world.path('ready.xml'), 'utf8');
    expect(report.match(/<testsuite /g)).toHaveLength(5);
    expect(report).toContain('There has never been a verdict on rollback drill flight-delay.');
  });

  test('stop where the stack cannot be described', async () => {
    const { code } = await runAll(scripts, { BROKEN: '1' });
    expect(code).not.toBe(0);
    expect(existsSync(world.path('ready.xml'))).toBe(false);
  });
});

const VALUES: Record<string, string> = {
  MODEL: 'flight-delay',
  ENVIRONMENT: 'production',
  PACKAGE,
  STACK: 'Tocsin',
};

let world: ReleaseWorld;
let server: Server;

beforeAll(async () => {
  world = new ReleaseWorld();
  // The scripts have AWS of their own.
  world.aws.restore();
  server = createServer((request, response) => {
    const target = String(request.headers['x-amz-target'] ?? '');
    if (request.url?.includes('list-type=2')) {
      response.setHeader('content-type', 'application/xml');
      response.end('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');
    } else if (target.endsWith('DescribeModelPackage')) {
      response.end(
        JSON.stringify({
          ModelPackageArn: PACKAGE,
          ModelPackageGroupName: 'flight-delay',
          ModelPackageStatus: 'Completed',
          ModelApprovalStatus: 'Approved',
          CreationTime: 0,
        }),
      );
    } else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  mkdirSync(world.path('bin'));
  const outputs = {
    EvidenceBucket: EVIDENCE,
    DataBucket: DATA,
    NotificationTopic: 'arn:aws:sns:us-east-1:000000000000:t',
  };
  const listed = Object.entries(outputs).map(([OutputKey, OutputValue]) => ({
    OutputKey,
    OutputValue,
    Description: 'x',
  }));
  const programs = {
    npm: 'exit 0',
    aws: `[ -z "$BROKEN" ] || exit 255\n[ "$*" = "cloudformation describe-stacks --stack-name Tocsin --query Stacks[0].Outputs --output json" ] || exit 2\nprintf '%s' '${JSON.stringify(listed)}'`,
    npx: `[ "$1 $2" = "--no-install tocsin" ] || exit 127\nshift 2\nexec "${process.execPath}" "${join(process.cwd(), 'bin/tocsin.ts')}" "$@"`,
  };
  for (const [program, script] of Object.entries(programs)) {
    writeFileSync(world.path(`bin/${program}`), `#!/bin/sh\n${script}\n`);
    chmodSync(world.path(`bin/${program}`), 0o755);
  }
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  world.restore();
});

/** Runs scripts one after the other, as both services do, until one fails. */
async function runAll(scripts: readonly string[], more: Record<string, string> = {}) {
  rmSync(world.path('ready.xml'), { force: true });
  const { port } = server.address() as AddressInfo;
  const env = {
    ...VALUES,
    ...more,
    PATH: `${world.path('bin')}:${process.env.PATH}`,
    HOME: world.directory,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
  };
  const script = [...scripts, 'echo released'].join('\n');
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], {
    cwd: world.directory,
    env,
  });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    texts.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    texts.err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...texts };
}
