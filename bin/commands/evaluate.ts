import { join } from 'node:path';
import { Command } from 'commander';
import type { LocatedModel } from '../../functions/holdout-evaluation/schema.ts';
import type { LocalFile } from '../../functions/shared/engine/limits.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { EXIT, type ExitCode, type Io, run, withProgress } from '../shared/cli.ts';
import {
  addEngineOptions,
  addRunOptions,
  type EngineOptions,
  engineLimits,
  type RunOptions,
} from '../shared/options.ts';
import type { Clock } from '../shared/runs.ts';
import { withScratch } from '../shared/scratch.ts';

/** Of a judgement of files that are here. */
export interface LocalOptions extends EngineOptions {
  predictions: string;
  holdout: string;
  model: string;
  champion?: string;
  config: string;
  json?: boolean;
  out?: string;
}

/** Of an evaluation by the deployment. */
export interface PackageOptions extends RunOptions {
  package?: string;
}

export type EvaluateOptions = Partial<Pick<LocalOptions, 'predictions' | 'holdout' | 'model'>> &
  Omit<LocalOptions, 'predictions' | 'holdout' | 'model'> &
  PackageOptions;

const LOCAL = ['predictions', 'holdout', 'model'] as const;

export function evaluateCommand(io: Io): Command {
  return addRunOptions(
    addEngineOptions(
      new Command('evaluate')
        .description('Judge a model by its predictions on a holdout, as the deployed gate does')
        .option('--predictions <file>', "the model's predictions: CSV or JSON Lines")
        .option('--holdout <file>', 'the labelled examples: Parquet, CSV or JSON Lines')
        .option('--model <name>', 'the model of the configuration whose thresholds it must meet')
        .option('--champion <file>', 'predictions of the model that serves, to compare with')
        .option('--config <file>', 'the configuration', 'tocsin.yaml')
        .option('--package <arn>', 'let the deployment evaluate this registered model instead'),
    ),
  )
    .addHelpText(
      'after',
      `
Predictions are one for each row of the holdout, in its order, with or without a header; or they begin with the number of
the row, from 1 on; or they are the output of a batch transform job that Tocsin has started. The prediction is in the last
column (of several classes, the last ones, in the order of classes or as a header names them); in JSON Lines at transform.prediction of the configuration.

With --package, the deployed gate is started and followed. Ctrl-C stops looking, not the run.

Exit code 0: pass. 1: fail or inconclusive. 2: the command, the configuration or a file is wrong. 3: something broke.

Examples:
  tocsin evaluate --model flight-delay --holdout 2001-05.parquet --predictions predictions.csv
  tocsin evaluate --model flight-delay --holdout 2001-05.parquet --predictions new.jsonl --champion old.jsonl --json
  tocsin evaluate --package arn:aws:sagemaker:eu-west-1:111122223333:model-package/flight-delay/7
  tocsin evaluate --follow 6f1c8d0e-6a5b-4d0c-9a53-0f1a2b3c4d5e`,
    )
    .action(async (options: EvaluateOptions) => {
      process.exitCode = await run(io, options.json === true, () => evaluate(options, io));
    });
}

/**
 * Judges predictions that are here, or lets the deployment judge a registered model, and prints the verdict.
 *
 * @throws GateInputError, GateDependencyError where there is none
 */
export async function evaluate(options: EvaluateOptions, io: Io, clock?: Clock): Promise<ExitCode> {
  const given = LOCAL.filter((name) => options[name] !== undefined);
  const remote = (['package', 'follow'] as const).filter((name) => options[name] !== undefined);
  if (remote.length === 0 && given.length === LOCAL.length) return evaluateFiles(options as LocalOptions, io);
  if (remote.length === 1 && given.length === 0) return evaluatePackage(options, io, clock);
  const flags = LOCAL.map((name) => `--${name}`).join(', ');
  throw new GateInputError(`expected ${flags}; or --package; or --follow`, {
    help: 'See: tocsin evaluate --help',
  });
}

async function evaluatePackage(options: PackageOptions, io: Io, clock?: Clock): Promise<ExitCode> {
  const { packageArn } = await import('../../functions/holdout-evaluation/schema.ts');
  const { parseValue } = await import('../../functions/shared/schema.ts');
  const { runDeployed } = await import('../shared/runs.ts');
  const { package: arn } = options;
  return runDeployed(
    {
      alias: 'HoldoutEvaluationAlias',
      missing: 'a model in tocsin.yaml',
      payload: arn === undefined ? undefined : { package: parseValue(packageArn, arn, '--package') },
      again: 'tocsin evaluate --follow',
    },
    options,
    io,
    clock,
  );
}

async function evaluateFiles(options: LocalOptions, io: Io): Promise<ExitCode> {
  const model = await readModel(options);
  const holdout = await openFile(options.holdout, 'holdout', io);
  const predictions = await openFile(options.predictions, 'predictions', io);
  const champion =
    options.champion === undefined ? undefined : await openFile(options.champion, 'champion', io);

  const { configurationHash, idOf, verdictOf } = await import(
    '../../functions/holdout-evaluation/identity.ts'
  );
  const { measureModel } = await import('../../functions/holdout-evaluation/gate.ts');
  const { decide } = await import('../../functions/holdout-evaluation/decide.ts');
  const inputs = {
    model: model.name,
    predictions: named(predictions.file),
    champion: champion === undefined ? null : named(champion.file),
    holdout: named(holdout.file),
    configurationSha256: configurationHash(model),
  };
  const limits = await engineLimits(options);
  const measurements = await withScratch((scratch) =>
    withProgress(io, `Measuring ${options.predictions}`, () =>
      measureModel({
        file: holdout.file,
        model,
        limits,
        scratch,
        candidate: { path: predictions.file.path },
        champion:
          champion === undefined
            ? { kind: 'none' }
            : { kind: 'answered', package: champion.file.name, path: champion.file.path },
        layout: 'any',
        seed: idOf(inputs),
        signal: AbortSignal.timeout(options.timeout),
      }),
    ),
  );
  for (const { assertUnchanged } of [holdout, predictions, ...(champion ? [champion] : [])]) {
    await assertUnchanged();
  }
  const verdict = verdictOf(model.name, inputs, decide(measurements, model));

  const text = `${JSON.stringify(verdict, null, 2)}\n`;
  if (options.out !== undefined) {
    const { writeWhole } = await import('../shared/files.ts');
    const { renderReport } = await import('../../functions/shared/report/verdict-page.ts');
    const { evaluationPage } = await import('../../functions/holdout-evaluation/report.ts');
    const measured = `${JSON.stringify(measurements)}\n`;
    await writeWhole(join(options.out, 'measurements.json'), measured, 'measurements');
    const report = renderReport(verdict, () => evaluationPage(verdict, measurements, model));
    await writeWhole(join(options.out, 'report.html'), report, 'report');
    await writeWhole(join(options.out, 'verdict.json'), text, 'verdict');
  }
  if (options.json === true) io.stdout.write(text);
  else {
    const { renderVerdict } = await import('../shared/verdict-text.ts');
    const of = `sha256 ${predictions.file.sha256} on sha256 ${holdout.file.sha256}`;
    io.stdout.write(renderVerdict(io.stdout, verdict, { of, passed: true }));
  }
  return verdict.outcome === 'pass' ? EXIT.pass : EXIT.failed;
}

/** Bytes that a verdict is about. */
function named({ name, sha256 }: LocalFile): { file: string; sha256: string } {
  return { file: name, sha256 };
}

async function readModel({ config: file, model: name }: LocalOptions): Promise<LocatedModel> {
  const { loadConfig } = await import('../../lib/config.ts');
  const { didYouMean } = await import('../../functions/shared/schema.ts');
  const { models } = loadConfig(file);
  const model = models.get(name);
  if (model !== undefined) return model;
  const names = [...models.keys()];
  throw new GateInputError(`${file} has no model "${name}"${didYouMean(name, names)}`, {
    help: names.length === 0 ? 'Add the section models.' : `There are: ${names.join(', ')}.`,
  });
}

interface Opened {
  file: LocalFile;
  assertUnchanged(): Promise<void>;
}

async function openFile(path: string, what: string, io: Io): Promise<Opened> {
  const { openDataset } = await import('../shared/dataset.ts');
  const { dataset, assertUnchanged } = await withProgress(io, `Reading ${path}`, () =>
    openDataset(path, Date.now()),
  );
  const [file, ...more] = dataset.files;
  if (file === undefined || more.length > 0) {
    throw new GateInputError(`${what} ${path}: expected one file, found ${dataset.files.length}`);
  }
  return { file, assertUnchanged };
}
