/** The client as a whole: the design system, the session, and which screen an address shows. */
import "./styles";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { Route, Switch } from "wouter";
import { Problem } from "./api/problem";
import { onSession, type Session } from "./api/session";
import { NotHere } from "./features/shell/NotHere";
import { Waiting } from "./features/shell/Waiting";
import { SignIn } from "./features/sign-in/SignIn";
import { Workspaces } from "./features/workspaces/Workspaces";
import { theme, tokens } from "./theme";

const Workspace = lazy(() => import("./features/workspace/Workspace"));

function makeQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        retry: (failures, error) => failures < 3 && !(error instanceof Problem && isFinal(error)),
      },
    },
  });
}

/** Asked again, the answer would be the same. */
function isFinal(problem: Problem): boolean {
  const { status } = problem.refusal;
  return status !== undefined && status < 500 && status !== 429;
}

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={tokens} defaultColorScheme="auto">
      <Notifications position="bottom-center" limit={3} />
      <SignedInOrNot />
    </MantineProvider>
  );
}

function SignedInOrNot() {
  // `undefined` until the stored session has been read.
  const [session, setSession] = useState<Session | null | undefined>(undefined);
  useEffect(() => onSession(setSession), []);
  if (session === undefined) return <Waiting />;
  return session ? <SignedIn key={session.user.id} /> : <SignIn />;
}

/** Everything read belongs to one person: another one starts with nothing. */
function SignedIn() {
  const [queries] = useState(makeQueries);
  return (
    <QueryClientProvider client={queries}>
      <Suspense fallback={<Waiting />}>
        <Screens />
      </Suspense>
    </QueryClientProvider>
  );
}

function Screens() {
  return (
    <Switch>
      <Route path="/">
        <Workspaces />
      </Route>
      <Route path="/w/:workspace/*?">{({ workspace }) => <Workspace key={workspace} id={workspace} />}</Route>
      <Route>
        <NotHere />
      </Route>
    </Switch>
  );
}
