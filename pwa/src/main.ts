import { mount } from 'svelte';
import App from './app/App.svelte';
import { start } from './data';

const target = document.getElementById('app');
if (target === null) throw new Error('index.html has no #app');
void start();
mount(App, { target });
