// What the guides use of React Native, whose own package is too large for this test.
declare module "react-native" {
  import type { ReactNode } from "react";
  export function Text(props: { children?: ReactNode }): ReactNode;
  export const AppState: { addEventListener(type: "change", listener: (state: string) => void): { remove(): void } };
}
