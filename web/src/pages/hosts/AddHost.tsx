import { Code, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { answer, api } from "../../api/client";
import { Form, Panel, Submit } from "../../parts/Panel";
import { Refusal } from "../../parts/Refusal";
import { Secret } from "../../parts/Secret";

// AddHost makes a token with which a host joins, once.
export function AddHost({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const token = useMutation({
    mutationFn: () => answer(api.POST("/host-token", { body: { host: name.trim() } })),
  });
  return (
    <Panel>
      <Form label="Let a host join" onSubmit={() => token.mutate()}>
        <TextInput
          label="Name of the host"
          placeholder="hv1"
          autoFocus
          required
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          maw={320}
        />
        <Submit action="Make a token" busy={token.isPending} onClose={onClose} close="Close" />
      </Form>
      <Refusal error={token.error} />
      {token.data && (
        <>
          <Secret label={`Token of ${token.data.host}, good once, for 15 minutes`} value={token.data.token} />
          <p>
            Write it into a file on the host, and start{" "}
            <Code>gabion agent --server ADDRESS --token-file FILE --state-dir /var/lib/gabion-agent</Code>
          </p>
        </>
      )}
    </Panel>
  );
}
