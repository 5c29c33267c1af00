// What the alerts and rules pages derive from /api/v1/rules.

import type { Alert, AlertingRule, AlertState, Rule, RuleGroup } from '../api/types';
import { matchesTerms, parseTerms } from './search';

export const kAlertStates: AlertState[] = ['firing', 'pending', 'inactive', 'unknown'];

export interface AlertGroup {
  group: RuleGroup;
  rules: AlertingRule[];
}

export function alertStateOf(rule: AlertingRule): AlertState {
  return rule.state ?? 'inactive';
}

// How many alerts a rule has in each state; a rule without any counts once, as inactive or unknown.
export function countStates(groups: readonly RuleGroup[]): Record<AlertState, number> {
  const counts: Record<AlertState, number> = { firing: 0, pending: 0, inactive: 0, unknown: 0 };
  for (const group of groups) {
    for (const rule of group.rules) {
      if (rule.type === 'alerting') ++counts[alertStateOf(rule)];
    }
  }
  return counts;
}

export function filterAlerts(
  groups: readonly RuleGroup[],
  states: readonly string[],
  search: string,
): AlertGroup[] {
  const terms = parseTerms(search);
  return groups
    .map((group) => ({
      group,
      rules: group.rules.filter(
        (rule): rule is AlertingRule =>
          rule.type === 'alerting' &&
          (states.length === 0 || states.includes(alertStateOf(rule))) &&
          ruleMatches(rule, group, terms),
      ),
    }))
    .filter(({ rules }) => rules.length > 0);
}

export function filterRules(
  groups: readonly RuleGroup[],
  health: readonly string[],
  search: string,
): { group: RuleGroup; rules: Rule[] }[] {
  const terms = parseTerms(search);
  return groups
    .map((group) => ({
      group,
      rules: group.rules.filter(
        (rule) =>
          (health.length === 0 || health.includes(rule.health)) && ruleMatches(rule, group, terms),
      ),
    }))
    .filter(({ rules }) => rules.length > 0);
}

function ruleMatches(rule: Rule, group: RuleGroup, terms: ReturnType<typeof parseTerms>): boolean {
  if (terms.length === 0) return true;
  const texts = [rule.name, group.name, group.file];
  if (matchesTerms(terms, rule.labels ?? {}, texts)) return true;
  const alerts: Alert[] = rule.type === 'alerting' ? (rule.alerts ?? []) : [];
  return alerts.some((alert) => matchesTerms(terms, alert.labels, texts));
}
