// Opens every page of a running server in Chromium, and fails on any console or page error.
//
//   NARTHEX_URL=http://127.0.0.1:9090 node e2e/pages.mjs
//
// NARTHEX_URL     base URL, with the route prefix if there is one
// NARTHEX_METRIC  a metric with at least one series (default: up)
// NARTHEX_SHOTS   a folder for a screenshot of each page (default: none)
// CHROMIUM        the browser (default: /usr/bin/chromium)

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';

const base = (process.env.NARTHEX_URL ?? 'http://127.0.0.1:9090').replace(/\/$/, '');
const metric = process.env.NARTHEX_METRIC ?? 'up';
const shots = process.env.NARTHEX_SHOTS;
const kTimeoutMs = 15_000;
const kOptional = '/api/v1/notifications';
const kPixelsMin = 20; // A server that has just started has only seconds of data to draw.

const pages = [
  ['query', 'Query'],
  ['alerts', 'Alerts'],
  ['rules', 'Rules'],
  ['targets', 'Targets'],
  ['service-discovery', 'Service discovery'],
  ['alertmanager-discovery', 'Alertmanagers'],
  ['status', 'Status'],
  ['tsdb-status', 'Storage'],
  ['config', 'Configuration'],
  ['flags', 'Flags'],
];

const flags =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: flags.split(' '),
});
if (shots) mkdirSync(shots, { recursive: true });

let passed = 0;
let failed = 0;

// Runs one check on a fresh page and prints one line about it. A check fails by throwing, or when
// the console showed an error meanwhile.
async function check(name, run, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(kTimeoutMs);
  const errors = [];
  page.on('pageerror', (error) => errors.push(`page error: ${error.message}`));
  page.on('console', (message) => {
    // Servers without notifications are served too; the browser reports the missing address by itself.
    if (message.type() !== 'error' || message.location().url.includes(kOptional)) return;
    errors.push(`console: ${message.text()} ${message.location().url}`);
  });
  try {
    await run(page);
    if (shots)
      await page.screenshot({ path: path.join(shots, `${name.replace(/\W+/g, '-')}.png`) });
    if (errors.length > 0) throw new Error(errors.join('; '));
    console.log(`ok    ${name}`);
    ++passed;
  } catch (error) {
    console.log(`FAIL  ${name}: ${String(error.message).split('\n').slice(0, 4).join(' ')}`);
    ++failed;
  } finally {
    await context.close();
  }
}

function expect(condition, what) {
  if (!condition) throw new Error(`expected ${what}`);
}

async function open(page, address) {
  const response = await page.goto(`${base}/${address}`, { waitUntil: 'load' });
  expect(response.ok(), `status 200, got ${response.status()}`);
}

// Counts pixels that are neither transparent nor of the axis' grey.
function colouredPixels(canvas) {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    const spread =
      Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]);
    if (data[i + 3] > 100 && spread > 60) ++count;
  }
  return count;
}

async function graphIsDrawn(page) {
  const canvas = page.locator('.uplot canvas').first();
  await canvas.waitFor();
  const deadline = Date.now() + kTimeoutMs;
  // The canvas is replaced when new data comes, so each look finds it anew.
  for (let pixels = 0; pixels < kPixelsMin; pixels = await canvas.evaluate(colouredPixels)) {
    expect(Date.now() < deadline, 'lines on the graph');
    await page.waitForTimeout(100);
  }
}

for (const [address, title] of pages) {
  await check(`page ${address}`, async (page) => {
    await open(page, address);
    await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
    // The data of the page: no progress bar is left, and no error is shown.
    await page.waitForFunction(() => document.querySelector('main [data-busy]') === null);
    expect((await page.getByRole('alert').count()) === 0, 'no error on the page');
    const current = await page.locator('nav [aria-current="page"]').count();
    expect(current === 1, 'one current entry in the navigation');
  });
}

await check('query by autocompletion, table row', async (page) => {
  await open(page, 'query');
  const editor = page.getByRole('textbox', { name: 'PromQL expression' });
  await editor.click();
  await page.keyboard.type(metric.slice(0, -1) || metric, { delay: 30 });
  const option = page
    .locator('.cm-tooltip-autocomplete li')
    .filter({ hasText: new RegExp(`^${metric}(?![a-z_])`) });
  await option.first().click();
  expect((await editor.innerText()).trim() === metric, `the editor to hold ${metric}`);
  await page.keyboard.press('Enter');
  const row = page.getByTestId('result-row').first();
  await row.waitFor();
  expect((await row.innerText()).includes(metric), 'a row of the metric');
  expect(
    new URL(page.url()).searchParams.get('g0.expr') === metric,
    'the expression in the address',
  );
});

await check('the linter marks a wrong query', async (page) => {
  await open(page, 'query');
  await page.getByRole('textbox', { name: 'PromQL expression' }).click();
  await page.keyboard.type('sum(rate(up))', { delay: 10 });
  await page.locator('.cm-lintRange-error').first().waitFor();
});

await check('graph is drawn, stacked and in lines', async (page) => {
  await open(page, `query?g0.expr=${encodeURIComponent(metric)}&g0.tab=graph&g0.range_input=1m`);
  await graphIsDrawn(page);
  await page.getByRole('button', { name: 'Stacked' }).click();
  await graphIsDrawn(page);
  expect(
    new URL(page.url()).searchParams.get('g0.display_mode') === 'stacked',
    'the mode in the address',
  );
  await page.goBack();
  await page.waitForFunction(
    () => new URL(location.href).searchParams.get('g0.display_mode') !== 'stacked',
  );
});

await check('buckets are drawn as a heatmap, other series stay lines', async (page) => {
  // Any series counts as one bucket when it carries the label le.
  const bucket = `label_replace(1 + 0 * ${metric}, "le", "0.5", "", "")`;
  const graph = (expr) =>
    open(
      page,
      `query?g0.expr=${encodeURIComponent(expr)}&g0.tab=graph&g0.range_input=1m&g0.display_mode=heatmap`,
    );
  await graph(bucket);
  await page.getByRole('img', { name: /^Heatmap of/ }).waitFor();
  await graphIsDrawn(page);
  await graph(metric);
  await page.getByText('A heatmap needs native histograms').waitFor();
  await graphIsDrawn(page);
});

await check('graph zooms by dragging', async (page) => {
  await open(page, `query?g0.expr=${encodeURIComponent(metric)}&g0.tab=graph&g0.range_input=2m`);
  await graphIsDrawn(page);
  const box = await page.locator('.u-over').boundingBox();
  await page.mouse.move(box.x + box.width * 0.25, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction(
    () => new URL(location.href).searchParams.get('g0.range_input') !== '2m',
  );
  const range = new URL(page.url()).searchParams.get('g0.range_input');
  expect(/^(1m|59s|58s|1m[12]s)$/.test(range), `about a minute, got ${range}`);
});

await check('explain shows the tree', async (page) => {
  await open(page, `query?g0.expr=${encodeURIComponent(`sum(${metric}) + 1`)}&g0.tab=explain`);
  await page.getByRole('button', { name: /^sum\(…\)/ }).click();
  await page.getByRole('heading', { name: 'Aggregation: sum' }).waitFor();
});

await check('explain shows what each node does', async (page) => {
  await open(page, `query?g0.expr=${encodeURIComponent(`sum(rate(${metric}[5m])) > -1`)}&g0.tab=explain`);
  const tree = page.getByRole('list', { name: 'Tree of the query' });
  for (const [node, numbers] of [
    [/^sum\(…\)/, /1 series · 1 sample · [\d.]+ (s|ms|µs)$/],
    [/^rate\(…\)/, /\d+ series · \d+ samples? · [\d.]+ (s|ms|µs)$/],
    [new RegExp(`^${metric}`), /\d+ series · [\d,.]+k? samples read · [\d.]+ (s|ms|µs)$/],
  ]) {
    const row = tree.getByRole('button', { name: node });
    await row.waitFor();
    await page.waitForFunction(
      ([element, source]) => new RegExp(source).test(element.innerText.replace(/\s+/g, ' ')),
      [await row.elementHandle(), numbers.source],
    );
  }
});

await check('format button', async (page) => {
  await open(page, 'query');
  const editor = page.getByRole('textbox', { name: 'PromQL expression' });
  await editor.click();
  await page.keyboard.type(`sum  (  ${metric}  `, { delay: 5 });
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Format the query' }).click();
  await page.waitForFunction(
    (want) => document.querySelector('.cm-content').innerText.trim() === want,
    `sum(${metric})`,
  );
});

await check('several panels, removal keeps the right one', async (page) => {
  await open(page, 'query?g0.expr=1&g0.tab=table&g1.expr=2&g1.tab=table');
  await page.getByText('Add panel').click();
  await page.getByRole('region', { name: 'Query panel 3' }).waitFor();
  await page
    .getByRole('region', { name: 'Query panel 1' })
    .getByRole('button', { name: 'Remove the panel' })
    .click();
  const first = page.getByRole('region', { name: 'Query panel 1' });
  await first.locator('.cm-content', { hasText: '2' }).waitFor();
  expect(
    new URL(page.url()).searchParams.get('g0.expr') === '2',
    'the second panel to be the first now',
  );
});

await check('metrics explorer inserts a metric', async (page) => {
  await open(page, 'query');
  await page.getByRole('button', { name: 'Explore metrics' }).click();
  await page.getByRole('searchbox', { name: 'Search metrics' }).fill(metric);
  await page.getByRole('button', { name: `Insert ${metric}`, exact: true }).click();
  await page.locator('.cm-content', { hasText: metric }).waitFor();
});

await check('query history remembers', async (page) => {
  await open(page, 'query');
  await page.getByRole('textbox', { name: 'PromQL expression' }).click();
  await page.keyboard.type('1 + 41');
  await page.keyboard.press('Enter');
  await page.getByTestId('result-row').filter({ hasText: '42' }).waitFor();
  await page.getByRole('button', { name: 'Query history' }).click();
  await page.getByRole('menuitem', { name: '1 + 41' }).waitFor();
});

await check('the navigation keeps the prefix', async (page) => {
  await open(page, 'query');
  await page.getByRole('link', { name: 'Flags' }).click();
  await page.getByRole('heading', { level: 1, name: 'Flags' }).waitFor();
  expect(page.url() === `${base}/flags`, `${base}/flags, got ${page.url()}`);
});

await check('flags filter lives in the address', async (page) => {
  await open(page, 'flags');
  await page.getByRole('searchbox').fill('config.file');
  await page.locator('main tbody tr').first().waitFor();
  await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length < 5);
  expect(page.url().endsWith('?search=config.file'), 'the filter in the address');
});

await check('skip link and visible focus', async (page) => {
  await open(page, 'flags');
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.keyboard.press('Tab');
  const skip = page.getByRole('link', { name: 'Skip to content' });
  expect(await skip.evaluate((node) => node === document.activeElement), 'the skip link first');
  await page.keyboard.press('Enter');
  expect(
    await page.evaluate(() => document.activeElement.id === 'main'),
    'the focus in the content',
  );
});

await check(
  'dark mode follows the system and can be switched',
  async (page) => {
    await open(page, 'status');
    await page.getByRole('heading', { level: 1 }).waitFor();
    const brightness = () =>
      page.evaluate(() =>
        getComputedStyle(document.body)
          .backgroundColor.match(/\d+/g)
          .slice(0, 3)
          .reduce((sum, part) => sum + Number(part), 0),
      );
    expect((await brightness()) < 150, 'a dark page');
    await page.getByRole('button', { name: /^Theme: auto/ }).click();
    await page.waitForFunction(
      () => document.documentElement.dataset.mantineColorScheme === 'light',
    );
    expect((await brightness()) > 600, 'a light page');
  },
  { colorScheme: 'dark' },
);

await check(
  'narrow screens have a menu',
  async (page) => {
    await open(page, 'targets');
    await page.getByRole('button', { name: 'Navigation' }).click();
    await page.getByRole('link', { name: 'Rules' }).click();
    await page.getByRole('heading', { level: 1, name: 'Rules' }).waitFor();
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow <= 0, 'no horizontal scrolling');
  },
  { viewport: { width: 420, height: 800 } },
);

await check('this machine, if a node exporter is scraped', async (page) => {
  const query = `${base}/api/v1/query?query=${encodeURIComponent('count(node_load1)')}`;
  const { data } = await (await fetch(query)).json();
  await open(page, 'machine?range=15m');
  if (data.result.length > 0) await graphIsDrawn(page);
  else await page.getByText('No node exporter is being scraped').waitFor();
});

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
