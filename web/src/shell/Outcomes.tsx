import { Button, CloseButton, Loader } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { outcomeWords } from "../words/operation";
import { dismiss, useOutcomes, type Outcome } from "./outcome";
import classes from "./Outcomes.module.css";

// Outcomes says what became of the last changes, in a corner.
export function Outcomes() {
  const outcomes = useOutcomes();
  return (
    <div className={classes.outcomes} role="status" aria-label="Outcome">
      {outcomes.map((outcome) => (
        <Line key={outcome.key} outcome={outcome} />
      ))}
    </div>
  );
}

function Line({ outcome: { key, title, operation, undo } }: { outcome: Outcome }) {
  const finish = () => dismiss(key);
  return (
    <div className={classes.outcome} data-state={operation.state}>
      <Sign state={operation.state} />
      <div className={classes.words}>
        <strong>{title}</strong>
        <div>{outcomeWords(operation)}</div>
      </div>
      {undo && (
        <Button
          size="compact-sm"
          variant="light"
          onClick={() => {
            finish();
            undo();
          }}
        >
          Undo
        </Button>
      )}
      <CloseButton aria-label="Dismiss" onClick={finish} />
    </div>
  );
}

function Sign({ state }: { state: string }) {
  if (state === "pending") return <Loader size={20} />;
  if (state === "success") return <IconCircleCheck className={classes.good} size={22} aria-hidden />;
  return <IconAlertTriangle className={classes.bad} size={22} aria-hidden />;
}
