import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { thirdPartyLicenses } from './licenses.plugin';

// Where `npm run dev` sends API calls: any Prometheus-compatible server.
const api = process.env.NARTHEX_API ?? 'http://127.0.0.1:9090';
const proxied = ['/api', '/-/', '/metrics', '/version', '/federate', '/consoles'];

export default defineConfig({
  // Relative asset addresses, because the route prefix is known to the server only at run time.
  base: './',
  plugins: [react(), thirdPartyLicenses('assets/third-party-licenses.txt')],
  build: {
    target: 'es2022',
  },
  server: {
    proxy: Object.fromEntries(proxied.map((path) => [path, { target: api, changeOrigin: true }])),
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});
