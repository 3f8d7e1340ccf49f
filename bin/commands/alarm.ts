import { Command } from 'commander';
import type { Io } from '../shared/cli.ts';
import { alarmExplainCommand } from './alarm-explain.ts';

export function alarmCommand(io: Io): Command {
  return new Command('alarm').description('Understand CloudWatch alarms').addCommand(alarmExplainCommand(io));
}
