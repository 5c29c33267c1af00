// Opens the Pushgateway's page, looks at groups and status, and deletes what is there.
//
//   node e2e/pushgateway.mjs http://127.0.0.1:9091 /usr/bin/chromium
//
// Expects two groups, one of them with a hostile job name, and the admin API.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [base, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage();
page.setDefaultTimeout(15_000);
const errors = [];
page.on('pageerror', (error) => errors.push(error.message));
page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));

await page.goto(base);
await page.locator('main > details').nth(1).waitFor();
assert.equal(await page.locator('main > details').count(), 2);
await page.locator('main > details > summary', { hasText: 'job="two"' }).click();
await page.locator('details details > summary', { hasText: '<b>help</b>' }).click();
await page.locator('td.value', { hasText: '2' }).waitFor();

// What stood open stands open after a reload.
await page.reload();
await page.locator('td.value', { hasText: '2' }).waitFor();

// Keeping, then deleting one group, the hostile one.
const hostile = page.locator('main > details', { hasText: 'onerror' });
await hostile.locator('> summary').click();
await hostile.locator('button', { hasText: 'Delete Group' }).click();
await page.locator('#no').click();
assert.equal(await page.locator('main > details').count(), 2);
await hostile.locator('button', { hasText: 'Delete Group' }).click();
await page.locator('#yes').click();
await page.waitForFunction(() => document.querySelectorAll('main > details').length === 1);

await page.locator('#tab-status').click();
await page.locator('th', { hasText: 'web.listen-address' }).waitFor();
await page.locator('#tab-metrics').click();
await page.locator('button', { hasText: 'Delete All 1 Groups' }).click();
await page.locator('#yes').click();
await page.getByText('Nothing has been pushed.').waitFor();

assert.equal(await page.evaluate(() => window.hacked), undefined);
assert.deepEqual(errors, []);
await browser.close();
console.log('the page works');
