const GATES = [
  'quality-gate',
  'holdout-evaluation',
  'alarm-drill',
  'rollback-drill',
  'config-parity',
  'board',
];

/** The layer rules of docs/architecture.md; test/layers.test.ts plants a violation of each. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'A cycle means that two modules are one.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'judgement-is-pure',
      comment:
        'decide.ts and the pure files beside it reach no AWS SDK, CDK, DuckDB or file system, nor what wraps them.',
      severity: 'error',
      from: {
        path: '^functions/[^/]+/[^/]+\\.ts$',
        pathNot: ['handler\\.ts$', 'workflow\\.ts$', '/gate\\.ts$', '^functions/shared/'],
      },
      to: {
        path: [
          '^node_modules/(@aws-sdk|@smithy|aws-cdk-lib|constructs|@duckdb)',
          '/adapters/',
          '^functions/shared/(aws|s3|sns|eventbridge|durable|observability|workspace|carry|work|outlets|failure|claimed|conclude|telling|evidence|history-store|configuration|sagemaker|baseline|run-handler|golden)\\.ts$',
          '^functions/shared/engine/(duckdb|expression|files)\\.ts$',
          '^(node:)?(fs|net|http|child_process)',
        ],
      },
    },
    ...GATES.map((gate) => ({
      name: `${gate}-imports-only-its-own`,
      comment: 'A gate imports its own folder and shared/ only.',
      severity: 'error',
      from: { path: `^functions/${gate}/` },
      to: { path: '^functions/', pathNot: [`^functions/${gate}/`, '^functions/shared/'] },
    })),
    {
      name: 'shared-imports-no-gate',
      severity: 'error',
      from: { path: '^functions/shared/' },
      to: { path: '^functions/', pathNot: '^functions/shared/' },
    },
    {
      name: 'lib-sees-only-schemas',
      comment: 'Constructs import no runtime code: of functions/ only schema.ts files.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^functions/', pathNot: '/schema\\.ts$' },
    },
    {
      name: 'functions-never-import-cdk',
      severity: 'error',
      from: { path: '^functions/' },
      to: { path: ['^node_modules/(aws-cdk-lib|constructs|cdk-nag)', '^(lib|bin)/'] },
    },
    {
      name: 'sandbox-is-imported-by-nobody',
      severity: 'error',
      from: { path: '^(bin|lib|functions|bench|scripts)/' },
      to: { path: '^sandbox/' },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
