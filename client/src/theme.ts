/** The design system: every colour, size and font of the client, for Mantine and for our own style sheets. */
import {
  type CSSVariablesResolver,
  createTheme,
  type MantineColorsTuple,
  Modal,
  Notification,
} from "@mantine/core";

const pine: MantineColorsTuple = [
  "#e9f6f3",
  "#d3ebe5",
  "#a5d7cb",
  "#74c2b0",
  "#4db19a",
  "#33a68c",
  "#188a73",
  "#0e6e5c",
  "#0a5a4b",
  "#064639",
];

/** Warm greys: paper by day, ink by night. */
const dark: MantineColorsTuple = [
  "#e8e6e1",
  "#c9c6bf",
  "#a9a69f",
  "#8b8881",
  "#5d5b56",
  "#43423e",
  "#33322f",
  "#262523",
  "#1d1c1a",
  "#151413",
];

export const theme = createTheme({
  colors: { pine, dark },
  primaryColor: "pine",
  primaryShade: 7,
  defaultRadius: "md",
  cursorType: "pointer",
  fontFamily:
    '"Inter", "Segoe UI Variable Text", "Segoe UI", system-ui, -apple-system, "Helvetica Neue", "Noto Sans", sans-serif',
  headings: { fontWeight: "650" },
  respectReducedMotion: true,
  components: {
    Modal: Modal.extend({
      styles: {
        title: { fontWeight: 650 },
        header: { background: "var(--eb-surface)" },
        content: { background: "var(--eb-surface)" },
      },
    }),
    Notification: Notification.extend({
      defaultProps: { closeButtonProps: { "aria-label": "Dismiss" } },
      styles: {
        root: { background: "var(--eb-surface)", border: "1px solid var(--eb-line-strong)" },
        description: { color: "var(--mantine-color-text)" },
      },
    }),
  },
});

/** Tokens of our own, as `--eb-…`. Text on its ground keeps a contrast of at least 4.5 : 1. */
export const tokens: CSSVariablesResolver = () => ({
  variables: {
    "--eb-row": "36px",
    "--eb-header-row": "40px",
    "--eb-cell-padding": "10px",
    "--eb-font-cell": "13.5px",
  },
  light: {
    "--mantine-color-body": "#faf9f7",
    "--mantine-color-text": "#23221f",
    "--mantine-color-dimmed": "#68655e",
    "--mantine-color-placeholder": "#78756d",
    "--eb-surface": "#ffffff",
    "--eb-surface-sunken": "#f3f1ed",
    "--eb-line": "#e7e4de",
    "--eb-line-strong": "#d5d1c8",
    "--eb-hover": "#f8f6f2",
    "--eb-selected": "#eef7f4",
    "--eb-accent": "#0e6e5c",
    "--eb-flash": "#f6d98a",
    "--eb-pending": "#b07a12",
    "--eb-star": "#9a6b00",
    "--eb-live": "#188a5b",
    "--eb-warn-ground": "#fdf1d7",
    "--eb-warn-text": "#6b4a05",
    "--eb-error": "#b3261e",
    "--eb-chip-lightness": "0.94",
    "--eb-chip-chroma": "0.045",
    "--eb-chip-text": "0.36",
    "--eb-shadow": "0 1px 2px rgb(40 35 25 / 5%), 0 6px 24px rgb(40 35 25 / 6%)",
  },
  dark: {
    "--mantine-color-body": "#171614",
    "--mantine-color-text": "#e8e6e1",
    "--mantine-color-dimmed": "#a9a69f",
    "--mantine-color-placeholder": "#8f8c84",
    "--eb-surface": "#1f1e1c",
    "--eb-surface-sunken": "#1a1917",
    "--eb-line": "#2f2e2b",
    "--eb-line-strong": "#45433f",
    "--eb-hover": "#252422",
    "--eb-selected": "#1d2f2a",
    "--eb-accent": "#4db19a",
    "--eb-flash": "#5f4a14",
    "--eb-pending": "#d9a441",
    "--eb-star": "#e0b050",
    "--eb-live": "#4dc28e",
    "--eb-warn-ground": "#3a2f14",
    "--eb-warn-text": "#f2d89a",
    "--eb-error": "#ff9d94",
    "--eb-chip-lightness": "0.33",
    "--eb-chip-chroma": "0.055",
    "--eb-chip-text": "0.9",
    "--eb-shadow": "0 1px 2px rgb(0 0 0 / 30%), 0 8px 28px rgb(0 0 0 / 35%)",
  },
});

/** Hues for the choices of select columns, in degrees of OKLCH; `null` is grey. */
const HUES: Readonly<Record<string, number | null>> = {
  gray: null,
  grey: null,
  red: 25,
  orange: 55,
  amber: 75,
  yellow: 95,
  lime: 125,
  green: 150,
  teal: 180,
  cyan: 210,
  blue: 250,
  indigo: 275,
  violet: 295,
  purple: 310,
  pink: 350,
};

const SPREAD = [165, 250, 75, 310, 25, 210, 125, 350, 275, 95];

/** The hue of a choice: its colour's, or one that tells it from its neighbours. */
export function hueOfChoice(color: string | null | undefined, index: number): number | null {
  const named = HUES[color?.toLowerCase() ?? ""];
  return named === undefined ? (SPREAD[index % SPREAD.length] ?? null) : named;
}
