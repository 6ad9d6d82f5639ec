/** Puts the page together. */
import { App } from './app.ts';
import { closePopoversOutside, Menu } from './controls/menu.ts';
import { Shortcuts } from './controls/shortcuts.ts';
import { applyTheme } from './controls/theme.ts';
import { h } from './dom.ts';
import { bee, type IconName, icon } from './icons.ts';
import { Conversation } from './state/conversation.ts';
import { exportJson, exportMarkdown } from './state/export.ts';
import { importJson } from './state/import.ts';

/** Distance from the end of the conversation at which it follows the answer, in pixels. */
const NEAR_END = 120;

const app = new App();
applyTheme(app.taste);

const exported = () => ({
  conversation: app.conversation,
  parameters: app.given,
  health: app.health.health,
  now: new Date(),
});
const menu = new Menu({
  taste: app.taste,
  setTaste: (change) => app.setTaste(change),
  exportJson: () => download('conversation.json', 'application/json', exportJson(exported())),
  exportMarkdown: () => download('conversation.md', 'text/markdown', exportMarkdown(exported())),
  importFile: (text) => importConversation(text),
  openKeys: () => shortcuts.open(),
});
const begin = (): void => {
  const { conversation } = app;
  const isEmpty = conversation.path.length === 0;
  app.replace(new Conversation());
  if (!isEmpty) app.welcome.offerBack(() => app.replace(conversation));
};
const setStory = (isShown: boolean): void => {
  document.body.classList.toggle('with-story', isShown);
  storyButton.setAttribute('aria-expanded', String(isShown));
};
app.onStory = setStory;
const shortcuts = new Shortcuts(
  [
    { key: '/', label: 'go to the message', run: () => app.composer.focus() },
    { key: 'e', label: 'edit the last message', run: () => app.view.editLast() },
    { key: 'r', label: 'generate the last answer again', run: () => app.regenerate() },
    { key: '[', label: 'previous branch', run: () => app.branch(-1) },
    { key: ']', label: 'next branch', run: () => app.branch(1) },
    { key: 'p', label: 'parameters', run: () => app.openParameters() },
    {
      key: 's',
      label: 'story, on a narrow screen',
      run: () => setStory(!document.body.classList.contains('with-story')),
    },
    { key: 'c', label: 'playful sentences on or off', run: () => menu.toggleCute() },
    { key: 'n', label: 'new conversation', run: begin },
  ],
  () => app.taste.keys,
  (keys) => app.setTaste({ keys }),
);

const button = (name: IconName, label: string, click: () => void): HTMLButtonElement =>
  h('button', { type: 'button', class: 'quiet icon-button', 'aria-label': label, title: label, click }, icon(name));
const storyButton = button('story', 'Story', () => setStory(!document.body.classList.contains('with-story')));
storyButton.classList.add('story-button');
storyButton.setAttribute('aria-expanded', 'false');

const talk = h('div', { class: 'talk' }, app.welcome.element, app.view.element);
document.body.append(
  h(
    'header',
    { class: 'top' },
    h('h1', { class: 'brand' }, bee(), h('span', {}, 'rbees')),
    app.worker.element,
    h(
      'div',
      { class: 'top-buttons' },
      storyButton,
      button('plus', 'New conversation', begin),
      button('sliders', 'Parameters', () => app.openParameters()),
      menu.element,
    ),
  ),
  app.banner.element,
  h('main', {}, h('section', { class: 'conversation', 'aria-label': 'Conversation' }, talk, app.composer.element)),
  app.story.element,
  app.announcer.element,
  app.parameters.element,
  app.token.element,
  shortcuts.element,
);

closePopoversOutside();
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
    if (app.isBusy) app.stop();
    else setStory(false);
  }
  shortcuts.press(event);
});
followAnswer();
app.start();
app.composer.focus();

/** Keeps the end of the conversation in view, unless the person has scrolled up. */
function followAnswer(): void {
  let isNear = true;
  talk.addEventListener('scroll', () => {
    isNear = talk.scrollHeight - talk.scrollTop - talk.clientHeight < NEAR_END;
  });
  new ResizeObserver(() => {
    if (isNear) talk.scrollTop = talk.scrollHeight;
  }).observe(app.view.element);
}

function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function importConversation(text: string): void {
  const file = importJson(text);
  if (file) app.replace(new Conversation(file), file.parameters);
  else app.banner.setNote('The file is not an exported conversation.');
}
