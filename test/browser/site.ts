// The site that a test looks at: real hosts, guests, server and agents, in a process
// of their own, which is told what packets to send.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createInterface, type Interface } from "node:readline";

export interface Machine {
  name: string;
  host: string;
  interface: string;
  mac: string;
  addresses: string[];
}

interface Introduction {
  url: string;
  key: string;
  secret: string;
  machines: Machine[];
  outside: Machine;
}

// Attempt is a connection that is tried: who, to whom, with what.
export interface Attempt {
  from: string;
  to: string;
  protocol: "tcp" | "udp" | "icmp" | "icmpv6";
  port?: number;
  ipv6?: boolean;
}

// Comparison is what every connection between all machines met, beside what the evaluator predicted.
export interface Comparison {
  tried: number;
  passed: number;
  mismatches: string[];
}

const program =
  process.env["GABION_BROWSER_SITE"] ?? fileURLToPath(new URL("../../bin/gabion-browser-site", import.meta.url));

export class Site implements Introduction {
  declare url: string;
  declare key: string;
  declare secret: string;
  declare machines: Machine[];
  declare outside: Machine;
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #last: Promise<unknown> = Promise.resolve(); // answers come in the order of the questions

  private constructor(process: ChildProcess, lines: Interface) {
    this.#process = process;
    this.#answers = lines[Symbol.asyncIterator]();
  }

  // start builds a site of hosts with their guests, such as "h1:web1,db1".
  static async start(hosts: string[]): Promise<Site> {
    const child = spawn("unshare", ["--net", program, ...hosts], { stdio: ["pipe", "pipe", "inherit"] });
    const site = new Site(child, createInterface({ input: child.stdout }));
    return Object.assign(site, (await site.#answer()) as Introduction);
  }

  // pid is the process whose network the server is in.
  get pid(): number | undefined {
    return this.#process.pid;
  }

  // stop ends it and waits until everything is removed.
  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.stdin?.end();
    const [code] = (await ended) as [number | null];
    if (code !== 0) throw new Error(`the site ended with code ${code}`);
  }

  // passes tells whether a connection gets through.
  async passes(attempt: Attempt): Promise<boolean> {
    const [passed] = await this.tryAll([attempt]);
    return passed === true;
  }

  tryAll = (attempts: Attempt[]) => this.#ask<boolean[]>("try", attempts);

  compare = () => this.#ask<Comparison>("compare", {});

  // open holds a TCP connection under a name; echo tells whether it still carries data.
  open = (name: string, from: string, to: string, port: number) => this.#ask("open", { name, from, to, port });
  echo = (name: string, seconds: number) => this.#ask<boolean>("echo", { name, seconds });

  // power switches a machine on or off, as its hypervisor does.
  power = (machine: string, on: boolean) => this.#ask("power", { machine, on });

  // gabion runs a command of the command line as the operator.
  gabion = (...args: string[]) => this.#ask<string>("gabion", args);

  logs = () => this.#ask<Record<string, string>>("logs", {});

  machine(name: string): Machine {
    const found = this.machines.find((m) => m.name === name);
    if (!found) throw new Error(`the site has no machine ${name}`);
    return found;
  }

  #ask<Told = unknown>(question: string, given: unknown): Promise<Told> {
    const asked = this.#last.then(() => {
      this.#process.stdin?.write(`${JSON.stringify({ do: question, with: given })}\n`);
      return this.#answer();
    });
    this.#last = asked.catch(() => undefined);
    return asked as Promise<Told>;
  }

  async #answer(): Promise<unknown> {
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error("the site ended; it says why above");
    const { answer, error } = JSON.parse(value) as { answer?: unknown; error?: string };
    if (error) throw new Error(error);
    return answer;
  }
}
