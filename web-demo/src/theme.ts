// Light or dark: the system's wish until the visitor says otherwise.

import { byId } from "./dom.js";

const KEY = "namelens-theme";
const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

const LABELS: Record<Theme, string> = { system: "◐ Auto", light: "☀ Light", dark: "☾ Dark" };

/** Applies the kept theme and lets the button go through the three. */
export function startTheme(): void {
  const button = byId<HTMLButtonElement>("theme");
  let theme = stored();
  const apply = (): void => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = LABELS[theme];
    button.setAttribute("aria-label", `Theme: ${theme}. Change it`);
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
