/// <reference types="vitest/config" />
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/**
 * Chromium compiles a file that begins with this comment as a whole, beside the page, and keeps it so. Else it compiles each
 * function when it is first called, which a slow phone feels at every start and at the first opening of each screen.
 */
const compiledWhole: Plugin = {
  name: 'compiled-whole',
  generateBundle: {
    order: 'post',
    handler(_, bundle) {
      for (const file of Object.values(bundle))
        if (file.type === 'chunk') file.code = `//# allFunctionsCalledOnLoad\n${file.code}`;
    },
  },
};

export default defineConfig({
  define: { __APP_VERSION__: JSON.stringify(version) },
  plugins: [
    svelte(),
    compiledWhole,
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src',
      filename: 'sw.ts',
      // A new version waits until the person says yes: an open form is never reloaded under a hand.
      registerType: 'prompt',
      injectRegister: false,
      includeAssets: ['icon.svg', 'apple-touch-icon.png', 'badge-96.png'],
      // Icons and the manifest are added by the plugin itself.
      injectManifest: { globPatterns: ['**/*.{js,css,html}'] },
      manifest: {
        id: '/',
        name: 'Rounds',
        short_name: 'Rounds',
        description: 'Customer visits, logged where and when they happen, with or without signal.',
        start_url: '/',
        scope: '/',
        display: 'standalone',
        background_color: '#F1F4F1',
        theme_color: '#0A5A47',
        icons: [
          { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml' },
          { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: 'icon-512.png', sizes: '512x512', type: 'image/png' },
          { src: 'icon-maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        ],
      },
    }),
  ],
  build: {
    target: 'es2022',
    // The page's policy allows no inline script; the polyfill for module preload would be one more request.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // Of the data layer's one door each screen takes along what it uses; the first page only what the start needs.
    rolldownOptions: {
      treeshake: { moduleSideEffects: [{ test: /\/src\/data\//, sideEffects: false }] },
      // All of the first load in one file: it is wanted as a whole, and packs better.
      output: { codeSplitting: { groups: [{ name: 'first', tags: ['$initial'] }] } },
    },
  },
  server: {
    // The words and lists that are shared with the server lie beside it.
    fs: { allow: ['..'] },
    proxy: {
      '/api': { target: process.env['ROUNDS_SERVER'] ?? 'http://127.0.0.1:8000', changeOrigin: true },
    },
  },
  // Browser exports of Svelte under vitest, where `node` would otherwise pick the server build.
  // In a build, Dexie's modern form: what it names by default is one whole of ES5 that nothing can be left out of.
  resolve: process.env['VITEST']
    ? { conditions: ['browser'] }
    : { alias: { dexie: 'dexie/dist/modern/dexie.mjs' } },
  test: { include: ['src/**/*.test.ts', 'tests/**/*.test.ts'], environment: 'node', testTimeout: 60_000 },
});
