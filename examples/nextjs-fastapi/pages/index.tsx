import { Show, SignInButton, useAuth, UserButton } from "@clerk/nextjs";
import Head from "next/head";
import { type FormEvent, useState } from "react";

export default function Home() {
  return (
    <main style={{ font: "16px/1.5 system-ui", margin: "3rem auto", maxWidth: "40rem", padding: "0 1rem" }}>
      <Head>
        <title>Consultation notes</title>
      </Head>
      <h1>Consultation notes</h1>
      <Show when="signed-out">
        <p>Turn the notes of a visit into a summary, the next steps and a letter to the patient.</p>
        <SignInButton mode="modal" />
      </Show>
      <Show when="signed-in">
        <UserButton />
        <Consultation />
      </Show>
    </main>
  );
}

function Consultation() {
  const { getToken } = useAuth();
  const [answer, setAnswer] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const visit = Object.fromEntries(new FormData(event.currentTarget));
    setBusy(true);
    setAnswer("");
    try {
      const response = await fetch("/api/consultation", {
        method: "POST",
        headers: { Authorization: `Bearer ${await getToken()}`, "Content-Type": "application/json" },
        body: JSON.stringify(visit),
      });
      if (!response.ok || !response.body) {
        throw new Error(`the server answered ${response.status}`);
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
        const text = chunk.value;
        setAnswer((soFar) => soFar + text);
      }
    } catch (error) {
      setAnswer((soFar) => `${soFar}\n\nThis did not work: ${error instanceof Error ? error.message : error}`);
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <form onSubmit={submit} style={{ display: "grid", gap: "1rem", margin: "1rem 0" }}>
        <input name="patient_name" placeholder="Patient" aria-label="Patient" required />
        <input name="date_of_visit" type="date" aria-label="Date of visit" required />
        <textarea name="notes" rows={8} placeholder="Notes" aria-label="Notes" maxLength={20000} required />
        <button disabled={busy}>{busy ? "Writing…" : "Write it up"}</button>
      </form>
      <output style={{ whiteSpace: "pre-wrap" }}>{answer}</output>
    </>
  );
}
