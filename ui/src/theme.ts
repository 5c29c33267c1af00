import { createTheme, type MantineColorsTuple } from '@mantine/core';

// Fennel green for what can be pressed, flame amber for what is chosen or wants attention.
const fennel: MantineColorsTuple = [
  '#eef7f1',
  '#dbece1',
  '#b5d9c3',
  '#8cc5a3',
  '#69b388',
  '#52a776',
  '#3f9468',
  '#2f7a54',
  '#276546',
  '#1b4f36',
];

const flame: MantineColorsTuple = [
  '#fff4e4',
  '#ffe7cd',
  '#fccd9b',
  '#fab265',
  '#f89b38',
  '#f78d1c',
  '#e67c0e',
  '#c96a07',
  '#a95703',
  '#874400',
];

// Dark greys with a trace of green, from text (0) to the deepest background (9).
const dark: MantineColorsTuple = [
  '#d6dfd9',
  '#b3beb7',
  '#909c95',
  '#66726b',
  '#39433d',
  '#2b342f',
  '#212925',
  '#191f1c',
  '#131815',
  '#0d110f',
];

export const theme = createTheme({
  primaryColor: 'fennel',
  primaryShade: { light: 7, dark: 5 },
  colors: { fennel, flame, dark },
  autoContrast: true,
  defaultRadius: 'sm',
  fontFamily:
    'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "JetBrains Mono", SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.25rem' },
  cursorType: 'pointer',
});
