import { Button } from "@mantine/core";
import type { CreatedKey } from "../../api/types";
import { Panel } from "../../parts/Panel";
import { Secret } from "../../parts/Secret";
import { Warning } from "../../parts/Warning";

// KeyMade shows a new key with its secret, this once.
export function KeyMade({ made, onClose }: { made: CreatedKey; onClose: () => void }) {
  return (
    <Panel>
      <Warning title="The secret is shown this once">
        Copy it to where it will be used; nobody can look it up later.
      </Warning>
      <Secret label="Key" value={made.key} />
      <Secret label="Secret" value={made.secret} />
      <Button variant="default" mt="md" onClick={onClose}>
        I have it
      </Button>
    </Panel>
  );
}
