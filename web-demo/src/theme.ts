// Light or dark: the system's wish until the visitor says otherwise.

import { byId, h } from "./dom.js";

const KEY = "namelens-theme";
const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

const LABELS: Record<Theme, readonly [sign: string, word: string]> = { system: ["◐", "Auto"], light: ["☀", "Light"], dark: ["☾", "Dark"] };

/** Applies the kept theme and lets the button go through the three. */
export function startTheme(): void {
  const button = byId<HTMLButtonElement>("theme");
  let theme = stored();
  const apply = (): void => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const [sign, word] = LABELS[theme];
    button.replaceChildren(h("span", { "aria-hidden": "true" }, sign), ` ${word}`);
    // Begins with what can be read, for those who say what they want to press.
    button.setAttribute("aria-label", `${word}: change the theme`);
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Private browsing may forbid it; the choice then lasts as long as the page.
    }
    apply();
  });
  apply();
}

function stored(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === kept) ?? "system";
  } catch {
    return "system";
  }
}
