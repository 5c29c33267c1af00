import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Plugin } from 'vite';

const kLicenseFile = /^(licen[cs]e|notice|copying)(\.|$)/i;

// The folder of the package that a module belongs to, or null for the UI's own modules.
function packageFolder(moduleId: string): string | null {
  const file = moduleId.replace(/^\0/, '').split('?')[0]!;
  const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file);
  return match?.[1] ?? null;
}

function licenseText(folder: string): string {
  const { name, version, license } = JSON.parse(
    readFileSync(path.join(folder, 'package.json'), 'utf8'),
  );
  const files = readdirSync(folder)
    .filter((file) => kLicenseFile.test(file))
    .sort();
  const texts = files.map((file) => readFileSync(path.join(folder, file), 'utf8').trim());
  return `${name} ${version} (${license ?? 'see below'})\n\n${texts.join('\n\n')}`.trim();
}

// Writes the licences of every package that ended up in the bundle into one file of the build.
export function thirdPartyLicenses(fileName: string): Plugin {
  return {
    name: 'third-party-licenses',
    apply: 'build',
    generateBundle(_, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of chunk.moduleIds) {
          const folder = packageFolder(id);
          if (folder !== null) folders.add(folder);
        }
      }
      const rule = `\n\n${'-'.repeat(80)}\n\n`;
      const source = `${[...folders].map(licenseText).sort().join(rule)}\n`;
      this.emitFile({ type: 'asset', fileName, source });
    },
  };
}
