// Elements. Text goes in as text, never as markup: what is shown here comes from text messages, tokens and clients.

export const $ = (id) => document.getElementById(id);

/** A new element with these attributes (`onclick` is a listener) and children: elements, or text. */
export const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (attribute === "onclick") made.addEventListener("click", value);
    else made.setAttribute(attribute, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};

/** Shows `text` in a notice, which a screen reader then says; hides it where there is none. */
export const notice = (place, text) => {
  // Emptied first, so that the same words are said again.
  place.textContent = "";
  place.hidden = !text;
  if (text) place.textContent = text;
};

/** Puts `text` into the clipboard, and says so on `button` for a moment. */
export const copy = async (button, text) => {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "The browser does not allow it";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
};
