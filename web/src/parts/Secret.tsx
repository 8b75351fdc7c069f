import { Button, Code, CopyButton } from "@mantine/core";
import classes from "./Secret.module.css";

// Secret is something that is shown this once.
export function Secret({ label, value }: { label: string; value: string }) {
  return (
    <div className={classes.secret} role="group" aria-label={label}>
      <span>{label}:</span>
      <Code className={classes.value}>{value}</Code>
      <CopyButton value={value}>
        {({ copied, copy }) => (
          <Button size="compact-sm" variant="default" onClick={copy}>
            {copied ? "Copied" : "Copy"}
          </Button>
        )}
      </CopyButton>
    </div>
  );
}
