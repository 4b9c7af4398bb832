/** Where the server is: the page's own origin, unless the build says otherwise. */

const origin = (import.meta.env.VITE_API_URL ?? "").replace(/\/+$/, "") || window.location.origin;

export const apiBase = `${origin}/api/v1`;
export const socketUrl = `${apiBase.replace(/^http/, "ws")}/ws`;
export const authBase = `${(import.meta.env.VITE_SUPABASE_URL ?? origin).replace(/\/+$/, "")}/auth/v1`;
export const authKey = import.meta.env.VITE_SUPABASE_ANON_KEY ?? "";
