import { Command } from 'commander';
import type { Io } from '../shared/cli.ts';
import { drillAlarmCommand } from './drill-alarm.ts';
import { drillRollbackCommand } from './drill-rollback.ts';

export function drillCommand(io: Io): Command {
  return new Command('drill')
    .description('Break something on purpose, in staging, and see whether the safety net holds')
    .addCommand(drillAlarmCommand(io))
    .addCommand(drillRollbackCommand(io));
}
