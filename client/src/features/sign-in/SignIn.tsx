/** The way in: signing in, or making an account. */
import { Alert, Anchor, Button, Paper, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { signIn, signUp } from "../../api/session";
import { Brand } from "../shell/Brand";
import classes from "./sign-in.module.css";

const SHORTEST_PASSWORD = 8;

export function SignIn() {
  const [isNew, setIsNew] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [sentTo, setSentTo] = useState<string | null>(null);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const password = String(form.get("password") ?? "");
    if (isNew && password.length < SHORTEST_PASSWORD) {
      return setProblem(`Choose a longer password, of at least ${SHORTEST_PASSWORD} characters.`);
    }
    setBusy(true);
    setProblem(null);
    try {
      if (!isNew) await signIn(text("email"), password);
      else if ((await signUp(text("name"), text("email"), password)) === "confirm") setSentTo(text("email"));
    } catch (cause) {
      setProblem(cause instanceof Error ? cause.message : "That didn't work. Try again.");
    }
    setBusy(false);
  };

  const turn = () => {
    setIsNew(!isNew);
    setProblem(null);
  };

  return (
    <main className={classes.page}>
      <div className={classes.column}>
        <Brand />
        <Paper className={classes.card} component="section">
          {sentTo ? (
            <Confirm address={sentTo} />
          ) : (
            <form onSubmit={submit}>
              <Stack gap="md">
                <div>
                  <Title order={1} size="h3">
                    {isNew ? "Create your account" : "Welcome back"}
                  </Title>
                  <Text c="dimmed" size="sm" mt={4}>
                    {isNew ? "Then start a workspace for your team." : "Sign in to your team's lists."}
                  </Text>
                </div>
                {problem && (
                  <Alert color="red" role="alert" variant="light" p="xs">
                    {problem}
                  </Alert>
                )}
                {isNew && (
                  <TextInput
                    name="name"
                    label="Your name"
                    autoComplete="name"
                    required
                    withAsterisk={false}
                  />
                )}
                <TextInput
                  name="email"
                  type="email"
                  label="E-mail"
                  autoComplete="email"
                  required
                  withAsterisk={false}
                />
                <PasswordInput
                  name="password"
                  label="Password"
                  {...(isNew ? { description: `At least ${SHORTEST_PASSWORD} characters` } : {})}
                  autoComplete={isNew ? "new-password" : "current-password"}
                  required
                  withAsterisk={false}
                />
                <Button type="submit" loading={busy} fullWidth>
                  {isNew ? "Create account" : "Sign in"}
                </Button>
              </Stack>
            </form>
          )}
        </Paper>
        {!sentTo && (
          <Text size="sm" c="dimmed">
            {isNew ? "Have an account already? " : "New here? "}
            <Anchor component="button" type="button" size="sm" underline="always" onClick={turn}>
              {isNew ? "Sign in" : "Create an account"}
            </Anchor>
          </Text>
        )}
      </div>
    </main>
  );
}

function Confirm({ address }: { address: string }) {
  return (
    <Stack gap="xs" role="status">
      <Title order={1} size="h3">
        One more step
      </Title>
      <Text c="dimmed">
        We have sent a mail to {address}. Follow the link in it, then come back here and sign in.
      </Text>
    </Stack>
  );
}
