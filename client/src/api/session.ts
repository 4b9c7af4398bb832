/** Who is signed in, through the auth provider. The only file that knows its client. */
import { AuthClient, type AuthError, type Session } from "@supabase/auth-js";
import { authBase, authKey } from "./origin";

export type { Session };

const auth = new AuthClient({
  url: authBase,
  headers: authKey ? { apikey: authKey, Authorization: `Bearer ${authKey}` } : {},
  storageKey: "estatebase.session",
  persistSession: true,
  autoRefreshToken: true,
  detectSessionInUrl: false,
});

/** The token for the next request, refreshed when it is about to expire; `null` when nobody is signed in. */
export async function accessToken(): Promise<string | null> {
  const { data } = await auth.getSession();
  return data.session?.access_token ?? null;
}

/** A new token even if the present one looks valid: the server has just refused it. */
export async function refreshToken(): Promise<string | null> {
  const { data } = await auth.refreshSession();
  return data.session?.access_token ?? null;
}

export async function signIn(email: string, password: string): Promise<void> {
  const { error } = await auth.signInWithPassword({ email, password });
  if (error) throw new Error(authSentence(error));
}

/** Makes an account. `confirm`: a mail was sent whose link must be followed before one can sign in. */
export async function signUp(name: string, email: string, password: string): Promise<"in" | "confirm"> {
  const { data, error } = await auth.signUp({ email, password, options: { data: { display_name: name } } });
  if (error) throw new Error(authSentence(error));
  return data.session ? "in" : "confirm";
}

/** Ends the session on this device, also when the server can't be told. */
export async function signOut(): Promise<void> {
  await auth.signOut({ scope: "local" });
}

/** Calls back now and whenever somebody signs in or out, or the token is renewed. Returns how to stop. */
export function onSession(listener: (session: Session | null) => void): () => void {
  const { data } = auth.onAuthStateChange((_event, session) => listener(session));
  return () => data.subscription.unsubscribe();
}

function authSentence(error: AuthError): string {
  switch (error.code) {
    case "invalid_credentials":
      return "The e-mail address or the password isn't right.";
    case "user_already_exists":
    case "email_exists":
      return "There is an account with this e-mail address already. Sign in instead.";
    case "weak_password":
      return "Choose a longer password, of at least 8 characters.";
    case "email_not_confirmed":
      return "Follow the link in the mail that we sent you, then sign in.";
    case "over_request_rate_limit":
      return "That were too many attempts. Wait a minute, then try again.";
    case "signup_disabled":
      return "New accounts can't be made here. Ask for an invitation.";
  }
  if (error.name === "AuthRetryableFetchError") return "The server can't be reached. Check your connection.";
  return error.message;
}
