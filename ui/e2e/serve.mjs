// Serves ui/dist as the server would (placeholders replaced, any route prefix) and passes API calls
// on to a Prometheus-compatible server. For trying a build without the executable:
//
//   NARTHEX_API=http://127.0.0.1:9090 node e2e/serve.mjs [port] [/prefix]

import { createReadStream, existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const api = new URL(process.env.NARTHEX_API ?? 'http://127.0.0.1:9090');
const port = Number(process.argv[2] ?? 9191);
const prefix = (process.argv[3] ?? '').replace(/\/$/, '');

const types = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
};
const pages = new Set(
  'query machine alerts rules targets service-discovery alertmanager-discovery status tsdb-status config flags agent'.split(
    ' ',
  ),
);
const placeholders = {
  CONSOLES_LINK_PLACEHOLDER: '',
  TITLE_PLACEHOLDER: process.env.NARTHEX_TITLE ?? 'narthex',
  AGENT_MODE_PLACEHOLDER: process.env.NARTHEX_AGENT ?? 'false',
  READY_PLACEHOLDER: process.env.NARTHEX_READY ?? 'true',
  LOOKBACKDELTA_PLACEHOLDER: '5m',
};

function indexPage() {
  const page = readFileSync(path.join(dist, 'index.html'), 'utf8');
  return page.replace(/[A-Z_]+_PLACEHOLDER/g, (word) => placeholders[word] ?? word);
}

function proxy(request, response) {
  const target = {
    host: api.hostname,
    port: api.port,
    method: request.method,
    path: request.url.slice(prefix.length),
    headers: { ...request.headers, host: api.host },
  };
  const upstream = http.request(target, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  upstream.on('error', (error) => {
    if (!response.headersSent) response.writeHead(502);
    response.end(String(error));
  });
  response.on('close', () => upstream.destroy());
  request.pipe(upstream);
}

http
  .createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (!pathname.startsWith(`${prefix}/`)) {
      response.writeHead(302, { location: `${prefix}/` }).end();
      return;
    }
    const inner = pathname.slice(prefix.length + 1);
    if (inner === '') {
      response.writeHead(302, { location: `${prefix}/query` }).end();
    } else if (pages.has(inner)) {
      response.writeHead(200, { 'content-type': types['.html'] }).end(indexPage());
    } else if (/^(api|-|metrics|version|federate|consoles)(\/|$)/.test(inner)) {
      proxy(request, response);
    } else {
      const file = path.join(dist, inner);
      if (!file.startsWith(dist + path.sep) || !existsSync(file)) {
        response.writeHead(404).end('404 page not found\n');
        return;
      }
      response.writeHead(200, {
        'content-type': types[path.extname(file)] ?? 'application/octet-stream',
      });
      createReadStream(file).pipe(response);
    }
  })
  .listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}${prefix}/`));
