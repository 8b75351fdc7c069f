import { Button, Group as Row, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "react-router";
import { explanation } from "../api/queries";
import type { ExplainRequest, Protocol } from "../api/types";
import { InstanceField } from "../parts/InstanceField";
import { Loaded } from "../parts/Loaded";
import { Notice } from "../parts/Notice";
import { Page } from "../parts/Page";
import { Form, FormButtons, Panel } from "../parts/Panel";
import { hasPorts, portOf, protocols, protocolTitle } from "../words/service";
import { Answer } from "./explain/Answer";

export function ExplainPage() {
  const [params, setParams] = useSearchParams();
  const request = requestOf(params);
  const query = useQuery({ ...explanation(request), enabled: request.from !== "" && request.to !== "" });
  return (
    <Page title="Explain" about="Would a new connection get through, and which rule decides?">
      <Question key={params.toString()} params={params} onAsk={setParams} />
      {request.from && request.to ? (
        <Loaded query={query}>{(answer) => <Answer request={request} answer={answer} />}</Loaded>
      ) : (
        <Notice title="Ask about a connection.">
          Say who opens it and to whom: an instance’s name or an address. Both ends answer, with the rule that decides.
        </Notice>
      )}
    </Page>
  );
}

interface QuestionProps {
  params: URLSearchParams;
  onAsk: (params: URLSearchParams) => void;
}

function Question({ params, onAsk }: QuestionProps) {
  const [from, setFrom] = useState(params.get("from") ?? "");
  const [to, setTo] = useState(params.get("to") ?? "");
  const [protocol, setProtocol] = useState(protocolOf(params));
  const [port, setPort] = useState(params.get("port") ?? "22");
  const number = portOf(port) ?? Number(port);
  const portError =
    hasPorts(protocol) && !(number >= 1 && number <= 65535) ? "A port, or a name such as ssh" : undefined;
  const ask = () => {
    if (portError) return;
    const next = new URLSearchParams({ from: from.trim(), to: to.trim(), protocol });
    if (hasPorts(protocol)) next.set("port", String(number));
    onAsk(next);
  };
  const swap = () => {
    setFrom(to);
    setTo(from);
  };
  return (
    <Panel>
      <Form label="Connection" onSubmit={ask}>
        <InstanceField label="From" value={from} onChange={setFrom} data-shortcut="new" />
        <InstanceField label="To" value={to} onChange={setTo} />
        <Select
          label="Protocol"
          data={protocols.map((p) => ({ value: p, label: protocolTitle(p) }))}
          value={protocol}
          onChange={(value) => setProtocol(protocols.find((p) => p === value) ?? "tcp")}
          allowDeselect={false}
          maw={140}
        />
        {hasPorts(protocol) && (
          <TextInput
            label="Port"
            value={port}
            onChange={(e) => setPort(e.currentTarget.value)}
            error={portError}
            maw={140}
          />
        )}
        <FormButtons>
          <Row gap="xs">
            <Button type="submit" disabled={!from.trim() || !to.trim()}>
              Explain
            </Button>
            <Button variant="default" onClick={swap}>
              Swap ends
            </Button>
          </Row>
        </FormButtons>
      </Form>
    </Panel>
  );
}

const protocolOf = (params: URLSearchParams): Protocol => protocols.find((p) => p === params.get("protocol")) ?? "tcp";

function requestOf(params: URLSearchParams): ExplainRequest {
  const protocol = protocolOf(params);
  const request: ExplainRequest = { from: params.get("from") ?? "", to: params.get("to") ?? "", protocol };
  if (hasPorts(protocol)) request.port = Number(params.get("port") ?? 22);
  return request;
}
