import { registerHooks } from 'node:module';

/* Preloaded with `node --import`: writes the address of every module that the process loads to standard error. */
registerHooks({
  load(url, context, nextLoad) {
    process.stderr.write(`${url}\n`);
    return nextLoad(url, context);
  },
});
