/* The program of the container image: `train` and `serve`, as SageMaker starts it. */

const [command] = process.argv.slice(2);
if (command === 'train') {
  const { train } = await import('./train.ts');
  process.exitCode = await train(process.env, console.log);
} else if (command === 'serve') {
  const { serve } = await import('./serve.ts');
  try {
    const serving = await serve(process.env);
    console.log(`serving on port ${serving.port}`);
    process.once('SIGTERM', () => void serving.close());
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
} else {
  console.error('usage: container.ts train | serve');
  process.exitCode = 2;
}
