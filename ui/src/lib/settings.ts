import { localStore } from './store';
import type { Zone } from './time';

export interface Settings {
  zone: Zone;
  queryHistory: boolean;
  autocomplete: boolean;
  linter: boolean;
  showWarnings: boolean;
  showInfos: boolean;
  showAnnotations: boolean;
}

export const settings = localStore<Settings>('narthex.settings', {
  zone: 'local',
  queryHistory: true,
  autocomplete: true,
  linter: true,
  showWarnings: true,
  showInfos: true,
  showAnnotations: false,
});

export function changeSettings(patch: Partial<Settings>) {
  settings.set({ ...settings.get(), ...patch });
}
