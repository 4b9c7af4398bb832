/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** Origin of the API when it isn't the page's own, e.g. `https://api.example.com`. */
  readonly VITE_API_URL?: string;
  /** A Supabase project that signs people in instead of the server's own provider. */
  readonly VITE_SUPABASE_URL?: string;
  readonly VITE_SUPABASE_ANON_KEY?: string;
}
