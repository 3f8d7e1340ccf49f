import { Command } from 'commander';
import type { Io } from '../shared/cli.ts';
import { contractInitCommand } from './contract-init.ts';
import { contractValidateCommand } from './contract-validate.ts';

export function contractCommand(io: Io): Command {
  return new Command('contract')
    .description('Write and check contracts')
    .addCommand(contractInitCommand(io))
    .addCommand(contractValidateCommand(io));
}
