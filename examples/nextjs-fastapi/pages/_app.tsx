import { ClerkProvider } from "@clerk/nextjs";
import type { AppProps } from "next/app";

// The publishable key is NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY, and `next build` writes it
// into the pages: a container takes it as a build argument, never as a variable.
export default function App({ Component, pageProps }: AppProps) {
  return (
    <ClerkProvider {...pageProps}>
      <Component {...pageProps} />
    </ClerkProvider>
  );
}
