import "@mantine/core/styles.css";
import "@mantine/spotlight/styles.css";
import "./theme.css";
import { Anchor, createTheme, InputWrapper, MantineProvider, Modal } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { App } from "./App";
import { queries } from "./api/cache";

const theme = createTheme({
  primaryColor: "teal",
  defaultRadius: "md",
  // A lock would be a style element, which the content security policy does not allow.
  components: {
    Modal: Modal.extend({
      defaultProps: { lockScroll: false, centered: true, closeButtonProps: { "aria-label": "Close" } },
    }),
    Anchor: Anchor.extend({ defaultProps: { underline: "always" } }), // colour alone does not tell a link from text
    InputWrapper: InputWrapper.extend({ defaultProps: { withAsterisk: false } }),
  },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
        <QueryClientProvider client={queries}>
          <BrowserRouter>
            <App />
          </BrowserRouter>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
