import type { Readable } from 'node:stream';
import { Command, Option } from 'commander';
import { GateInputError } from '../../functions/shared/errors.ts';
import { EXIT, type ExitCode, type Io, printable, run, style } from '../shared/cli.ts';
import type { ConfiguredVariant } from '../shared/endpoints.ts';
import { withNotice } from '../shared/interrupt.ts';
import { addFollowOptions, type FollowOptions, parseWeights } from '../shared/options.ts';
import type { Plan, Wish } from '../shared/rollback-plan.ts';
import type { Clock } from '../shared/runs.ts';

export interface RollbackOptions extends FollowOptions, Wish {
  /** Acts without asking. */
  yes?: boolean;
  json?: boolean;
}

export function rollbackCommand(io: Io): Command {
  return addFollowOptions(
    new Command('rollback')
      .description(
        'Roll an endpoint back in an incident: to a variant, to weights, or to an endpoint configuration',
      )
      .argument('[endpoint]', 'the endpoint')
      .option(
        '--to <name>',
        'a variant, or an endpoint configuration; variant:<name> or config:<name> where both exist',
      )
      .addOption(
        new Option('--weights <weights>', 'of the traffic by variant: primary=90,candidate=10').argParser(
          parseWeights,
        ),
      )
      .option('--yes', 'do not ask'),
  )
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Shows what serves and what it will do, asks, and has the deployed rollback function do it: that waits for what is under
way, and knows when SageMaker wants a new endpoint configuration, resets weights, or fails without a word. Without --to
and --weights it says where the endpoint could go; only of two variants of which one has no traffic it proposes that one.
Ctrl-C stops looking, not the rollback.

Exit code 0: rolled back, or it was there already. 2: where to is not clear, nobody said yes, or there is no such endpoint
or deployment; nothing was done. 3: it failed.

Examples:
  tocsin rollback churn
  tocsin rollback churn --to primary
  tocsin rollback churn --to churn-2026-11-20 --yes
  tocsin rollback churn --weights primary=90,candidate=10
  tocsin rollback --follow 6f1c8d0e-6a5b-4d0c-9a53-0f1a2b3c4d5e`,
    )
    .action(async (endpoint: string | undefined, options: RollbackOptions) => {
      process.exitCode = await run(io, options.json === true, () => rollback(endpoint, options, io));
    });
}

/**
 * Rolls an endpoint back, once somebody has said yes.
 *
 * @param stdin where the answer comes from
 * @throws GateInputError where it is not clear where to, nobody says yes, or the function refuses
 * @throws GateDependencyError where it has failed, or AWS does not answer
 */
export async function rollback(
  endpoint: string | undefined,
  options: RollbackOptions,
  io: Io,
  stdin: Readable = process.stdin,
  clock?: Clock,
): Promise<ExitCode> {
  const { follow, outputs, patience: patienceMs } = options;
  if ((endpoint === undefined) === (follow === undefined)) {
    throw new GateInputError('expected either the name of an endpoint or --follow');
  }
  if (follow !== undefined && (options.to !== undefined || options.weights !== undefined)) {
    throw new GateInputError(
      '--to and --weights say how to begin a rollback, and --follow looks at one that has begun',
    );
  }
  const { findDeployed, followRun, startRun } = await import('../shared/runs.ts');
  const { parseValue, sagemakerName } = await import('../../functions/shared/schema.ts');
  const { runId } = await import('../../functions/shared/progress.ts');
  const name = endpoint === undefined ? undefined : parseValue(sagemakerName, endpoint, 'ENDPOINT');
  const deployed = await findDeployed(
    { alias: 'RollbackAlias', missing: 'a rollback drill in tocsin.yaml' },
    outputs,
  );
  let started: string;
  if (name === undefined) started = parseValue(runId, follow, '--follow');
  else {
    const { to } = await agree(name, options, io, stdin);
    started = await startRun(deployed, { endpoint: name, to });
  }
  const again = `tocsin rollback --follow ${started} --outputs ${outputs}`;
  const followed = { run: started, begun: follow !== undefined, patienceMs, again };
  return show(await followRun(deployed, followed, io, clock), options, io);
}

/** Finds out where to, shows what that means, and asks whether it is meant. */
async function agree(endpoint: string, wish: RollbackOptions, io: Io, stdin: Readable): Promise<Plan> {
  const { connectSagemaker, earlierConfigs, readServing, readVariants } = await import(
    '../shared/endpoints.ts'
  );
  const plans = await import('../shared/rollback-plan.ts');
  const { parseValue, sagemakerName } = await import('../../functions/shared/schema.ts');
  const sagemaker = await connectSagemaker();
  const serving = await readServing(sagemaker, endpoint);
  io.stderr.write(plans.servingText(io.stderr, serving));
  plans.refuseHopeless(serving);

  const { weights, to = weights === undefined ? plans.onlyOther(serving.state) : undefined } = wish;
  if (to === undefined && weights === undefined) {
    const earlier = await earlierConfigs(sagemaker, serving);
    io.stderr.write(plans.choicesText(io.stderr, serving, earlier, Date.now()));
    throw new GateInputError(`it is not clear where ${endpoint} is to go; nothing was done`, {
      help: 'Give --to or --weights.',
    });
  }
  let config: ConfiguredVariant[] | null = null;
  if (to !== undefined) {
    const { kind, name } = plans.namedIn(to);
    parseValue(sagemakerName, name, '--to');
    if (kind !== 'variant') config = await readVariants(sagemaker, name);
  }
  const plan = plans.planOf(
    serving,
    { ...(to !== undefined && { to }), ...(weights !== undefined && { weights }) },
    config,
  );
  io.stderr.write(plans.planText(io.stderr, plan));

  if (wish.yes === true) return plan;
  const { confirm } = await import('../shared/confirm.ts');
  const untouched = () => io.stderr.write('\nNothing was done.\n');
  const answer = await withNotice(untouched, () => confirm('Roll back?', stdin, io.stderr));
  if (answer === true) return plan;
  if (answer === false) throw new GateInputError('nobody said yes; nothing was done');
  throw new GateInputError('it asks before it acts, and here is no terminal; nothing was done', {
    help: 'Give --yes.',
  });
}

async function show(answer: unknown, { json }: RollbackOptions, io: Io): Promise<ExitCode> {
  const { rollbackResultSchema } = await import('../../functions/rollback-drill/schema.ts');
  const { parseValue } = await import('../../functions/shared/schema.ts');
  const result = parseValue(rollbackResultSchema, answer, 'the answer of the function');
  if (json === true) {
    io.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return EXIT.pass;
  }
  const label = style(io.stdout, ['bold', 'green'], result.changed ? 'ROLLED BACK' : 'UNCHANGED');
  io.stdout.write(`${label} ${printable(result.done)}\n`);
  return EXIT.pass;
}
