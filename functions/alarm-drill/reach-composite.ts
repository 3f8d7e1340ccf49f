import { GateInputError, messageOf } from '../shared/errors.ts';
import { listOf } from '../shared/format.ts';
import { type Alarm, type AlarmState, alarmNameOf, type CompositeAlarm, type MetricAlarm } from './alarm.ts';
import { alarmsIn, holds, maskers, parseRule, type Rule } from './composite.ts';
import type { Proof } from './reach-proof.ts';

/*
 * Whether an ALARM gets through the composite alarms above it. Of the states of other alarms the present ones count.
 */

/** The composite alarms above an alarm, in view of the present states of all others. */
export class CompositeParents {
  readonly #proof: Proof;
  readonly #alarm: MetricAlarm;
  readonly #rules = new Map<CompositeAlarm, Rule>();
  /** Those that come to ALARM because the alarm does. */
  readonly firing: CompositeAlarm[];

  constructor(proof: Proof, alarm: MetricAlarm) {
    this.#proof = proof;
    this.#alarm = alarm;
    for (const parent of proof.facts.parents) {
      try {
        this.#rules.set(parent, parseRule(parent.rule));
      } catch (error) {
        if (!(error instanceof GateInputError)) throw error;
        proof.skip(`composite alarm ${parent.name}`, 'composite', messageOf(error));
      }
    }
    this.firing = this.firingOn('ALARM');
  }

  get isThere(): boolean {
    return this.#proof.facts.parents.length > 0;
  }

  /** Those that are in ALARM while the alarm is in a state, and would not be with it in OK. */
  firingOn(state: AlarmState): CompositeAlarm[] {
    const otherwise = this.#ringing('OK');
    return [...this.#ringing(state)].filter((parent) => !otherwise.has(parent));
  }

  /** Whether its actions are taken when it comes to ALARM. */
  tells({ actions, suppressor }: CompositeAlarm): boolean {
    return (
      actions.enabled &&
      actions.alarm.length > 0 &&
      !(suppressor && this.#present(suppressor.alarm) === 'ALARM')
    );
  }

  /** One finding: why none of them tells anybody, though some have actions. */
  explain(told: { subject: string; allowed: string }): void {
    const { name } = this.#alarm;
    const found = this.#proof.facts.parents
      .filter(({ actions }) => actions.alarm.length > 0)
      .map((parent) => ({ parent, ...this.#obstacle(parent) }));
    const open = found.find((one) => one.open);
    const { parent, why, help } = open ?? found[0]!;
    this.#proof.add({
      check: 'composite',
      ...told,
      outcome: open ? 'inconclusive' : 'fail',
      message: `Alarm ${name} ${open ? 'may tell' : 'tells'} nobody: composite alarm ${parent.name}, which has the actions, ${why}.`,
      observed: why,
      help,
    });
  }

  #obstacle(parent: CompositeAlarm): { why: string; help: string; open?: true } {
    const { name, rule: text, suppressor, actions } = parent;
    const own = `Give ${this.#alarm.name} an action of its own, or`;
    if (!actions.enabled) {
      return {
        why: 'has its actions disabled',
        help: `Enable them: aws cloudwatch enable-alarm-actions --alarm-names ${name}, in CDK actionsEnabled: true.`,
      };
    }
    if (this.firing.includes(parent)) {
      return {
        why: `holds them back while its suppressor ${alarmNameOf(suppressor!.alarm)} is in ALARM`,
        help: `Find out why ${alarmNameOf(suppressor!.alarm)} is in ALARM, or correct ActionsSuppressor of ${name}.`,
      };
    }
    const rule = this.#rules.get(parent);
    if (!rule) {
      return { why: `has a rule that cannot be read, ${text}`, help: `${own} correct the rule.`, open: true };
    }
    if (this.#ringing('OK').has(parent)) {
      return {
        why: 'is in ALARM already for another reason, so that one more makes no difference',
        help: `${own} run the proof again once ${name} is OK.`,
        open: true,
      };
    }
    const child = [this.#alarm.name, ...this.firing.map((fires) => fires.name)].find((one) =>
      alarmsIn(rule).includes(one),
    );
    if (child === undefined) {
      return {
        why: 'hangs on others that do not fire',
        help: `${own} have it named in the rule of ${name}.`,
      };
    }
    return this.#masked(rule, child, parent);
  }

  #masked(rule: Rule, child: string, { name, rule: text }: CompositeAlarm) {
    const own = `Give ${this.#alarm.name} an action of its own, or`;
    let names: string[] | null;
    try {
      names = maskers(rule, child, this.#stateOf(new Set(this.firing), 'ALARM'));
    } catch (error) {
      if (!(error instanceof GateInputError)) throw error;
      return {
        why: `has a rule that is too hard to judge, ${text}`,
        help: `${own} simplify it.`,
        open: true as const,
      };
    }
    if (names === null) {
      return {
        why: `is not in ALARM by it whatever the others are in: its rule is ${text}`,
        help: `${own} correct the rule of ${name}: ALARM("${child}") has to be enough.`,
      };
    }
    const unknown = names.filter((masker) => this.#present(masker) === undefined && !this.#isGone(masker));
    if (unknown.length > 0) {
      return {
        why: `hangs on ${listOf(unknown)}, of which the state is not known: its rule is ${text}`,
        help: `${own} let the role of the drill read all alarms.`,
        open: true as const,
      };
    }
    const states = names.map((masker) => {
      const state = this.#present(masker);
      return state ? `${masker} is ${state === 'ALARM' ? 'in ALARM' : state}` : `there is no alarm ${masker}`;
    });
    return {
      why: `is masked, as ${listOf(states)}: its rule is ${text}`,
      help: `${own} correct the rule of ${name} so that ALARM("${child}") is enough, or see to ${listOf(names)}.`,
    };
  }

  #ringing(state: AlarmState): Set<CompositeAlarm> {
    const ringing = new Set<CompositeAlarm>();
    // Children come before those above them, in whatever order they were read: after so many rounds all are settled.
    for (let round = 0; round < this.#rules.size; round++) {
      for (const [parent, rule] of this.#rules) {
        if (holds(rule, this.#stateOf(ringing, state))) ringing.add(parent);
        else ringing.delete(parent);
      }
    }
    return ringing;
  }

  /** States, were the alarm in `state` and of the composite alarms above it these in ALARM. */
  #stateOf(
    ringing: ReadonlySet<CompositeAlarm>,
    state: AlarmState,
  ): (name: string) => AlarmState | undefined {
    const parents = new Map([...this.#rules.keys()].map((parent) => [parent.name, parent]));
    return (name) => {
      if (name === this.#alarm.name) return state;
      const parent = parents.get(name);
      if (parent) return ringing.has(parent) ? 'ALARM' : 'OK';
      return this.#present(name);
    };
  }

  #isGone(alarm: string): boolean {
    return this.#proof.facts.others[alarm] === null;
  }

  #present(alarm: string): AlarmState | undefined {
    const name = alarmNameOf(alarm);
    const all: Alarm[] = [this.#alarm, ...this.#proof.facts.parents];
    return all.find((one) => one.name === name)?.state ?? this.#proof.facts.others[name] ?? undefined;
  }
}
