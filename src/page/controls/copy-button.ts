/** A button that copies a text. */
import { fill, h } from '../dom.ts';
import { icon } from '../icons.ts';

const SHOWN_MS = 1600;

/** @param what names the text in the label: "Copy the seed" */
export function copyButton(what: string, text: () => string): HTMLButtonElement {
  const button = h(
    'button',
    { class: 'quiet icon-button', type: 'button', 'aria-label': `Copy the ${what}` },
    icon('copy'),
  );
  button.title = `Copy the ${what}`;
  button.addEventListener('click', () => {
    void copy(text()).then((isCopied) => {
      if (!isCopied) return;
      fill(button, icon('check'));
      setTimeout(() => fill(button, icon('copy')), SHOWN_MS);
    });
  });
  return button;
}

/** A page of another machine without HTTPS has no clipboard: it copies the selection of a field. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h('textarea', { class: 'hidden', 'aria-hidden': 'true' });
    field.value = text;
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand('copy');
    field.remove();
    return isCopied;
  }
}
