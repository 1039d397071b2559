// The door: a one-time code from a terminal on the host becomes a cookie. No account, no password.

import { useSignal } from "@preact/signals";
import { login, Problem } from "../api";
import { open } from "../stream";

export function LoginPage({ failed }: { failed: string }) {
  const code = useSignal("");
  const problem = useSignal(failed);
  const enter = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await login(code.value.trim().replace(/^.*#code=/, ""));
      await open();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.value = error.message;
    }
  };
  return (
    <main class="login">
      <h1>cgwarden</h1>
      <p>This host wants to know who you are. In a terminal on it, as root or a member of its group:</p>
      <pre>
        <code>cgwarden dashboard</code>
      </pre>
      <p class="muted">
        It prints a link that works once, for a minute. Open the link, or paste its code here.
      </p>
      <form onSubmit={(event) => void enter(event)}>
        <label class="sr-only" for="code">
          One-time code
        </label>
        <input
          id="code"
          name="code"
          autocomplete="one-time-code"
          spellcheck={false}
          autofocus
          placeholder="one-time code"
          value={code.value}
          onInput={(e) => (code.value = e.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={code.value.trim() === ""}>
          Enter
        </button>
      </form>
      <p class="bad" role="alert">
        {problem.value}
      </p>
    </main>
  );
}
