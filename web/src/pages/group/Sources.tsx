import { Button, CloseButton, Group as Row, TextInput } from "@mantine/core";
import { useState } from "react";
import { addSource, removeSource } from "../../api/changes";
import type { Group } from "../../api/types";
import { useChange } from "../../parts/change";
import { Section } from "../../parts/Page";
import { Form, FormButtons, Panel } from "../../parts/Panel";
import { Refusal } from "../../parts/Refusal";
import { useMay } from "../../shell/caller";

// Sources are networks that count as members wherever a rule names the group.
export function Sources({ group }: { group: Group }) {
  const may = useMay("rules");
  const [cidr, setCidr] = useState("");
  const add = useChange({
    ask: () => addSource(group.id, cidr.trim()),
    title: () => `${group.name}: ${cidr} counts as a member`,
    onDone: () => setCidr(""),
  });
  const remove = useChange<string>({
    ask: (source) => removeSource(group.id, source),
    title: (source) => `${group.name}: ${source} is no member any more`,
  });
  const sources = group["external-sources"] ?? [];
  if (!may && sources.length === 0) return null;
  return (
    <Section title="Networks that count as members">
      <Panel>
        <p style={{ marginTop: 0 }}>
          {sources.length === 0
            ? "None. A network that is added here is meant, too, wherever a rule names this group."
            : "Rules that name this group mean these networks, too."}
        </p>
        <Row gap="xs" mb="sm">
          {sources.map((source) => (
            <Row key={source} gap={4}>
              <code>{source}</code>
              {may && <CloseButton size="sm" aria-label={`Remove ${source}`} onClick={() => remove.mutate(source)} />}
            </Row>
          ))}
        </Row>
        {may && (
          <Form label="Add a network" onSubmit={() => add.mutate()}>
            <TextInput
              label="Network"
              placeholder="198.51.100.0/24"
              value={cidr}
              onChange={(e) => setCidr(e.currentTarget.value)}
              error={add.problem?.message}
              maw={320}
            />
            <FormButtons>
              <Button type="submit" variant="default" loading={add.isPending}>
                Add network
              </Button>
            </FormButtons>
          </Form>
        )}
        <Refusal error={remove.error} />
      </Panel>
    </Section>
  );
}
