// What people do in the console, in their words.
import { expect, type Locator, type Page } from "@playwright/test";
import type { Machine, Site } from "./site.ts";

// signIn signs in where a page asks for it.
export async function signIn(page: Page, { key, secret }: Pick<Site, "key" | "secret">) {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("textbox", { name: "Secret" }).fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
}

// visit goes to a page by the navigation.
export async function visit(page: Page, title: string) {
  const link = page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: title });
  await link.click();
  await expect(link).toHaveAttribute("aria-current", "page");
}

export async function openGroup(page: Page, name: string) {
  await visit(page, "Groups");
  await page.getByRole("table", { name: "Groups" }).getByRole("link", { name, exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
}

export async function openInstance(page: Page, name: string) {
  await visit(page, "Instances");
  await page.getByRole("table", { name: "Instances" }).getByRole("link", { name, exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
}

// enforced waits until the console says that a change is, and takes note.
export async function enforced(page: Page, title: string | RegExp) {
  const outcome = page
    .getByRole("status", { name: "Outcome" })
    .locator("[data-state=success]")
    .filter({ hasText: title });
  await expect(outcome).toBeVisible();
  await outcome.getByRole("button", { name: "Dismiss" }).click();
}

// register makes a machine of the lab an instance, with the form. Without groups it gets the primary one.
export async function register(page: Page, machine: Machine, groups: string[] = []) {
  await visit(page, "Instances");
  await page.getByRole("button", { name: "New instance" }).click();
  const form = page.getByRole("form", { name: "New instance" });
  await form.getByLabel("Name").fill(machine.name);
  await form.getByLabel("Host").fill(machine.host);
  await form.getByLabel("Interface").fill(machine.interface);
  await form.getByLabel("MAC").fill(machine.mac);
  await form.getByLabel("Addresses").fill(machine.addresses.join(", "));
  for (const group of groups) await pick(page, form.getByRole("combobox", { name: "Groups" }), group);
  await form.getByRole("button", { name: "Register" }).click();
  await enforced(page, `Registered the instance ${machine.name}`);
}

// pick types into a picker and takes what it offers.
export async function pick(page: Page, picker: Locator, name: string) {
  await picker.fill(name);
  await page.getByRole("option", { name, exact: true }).click();
}

export interface Rule {
  direction?: "ingress" | "egress";
  protocol?: string; // as the form calls it
  ports?: string;
  peer: string;
  description?: string;
}

// fillRule writes a rule into the group's row for new ones.
export async function fillRule(page: Page, { direction = "ingress", protocol, ports, peer, description }: Rule) {
  const form = page.getByRole("form", { name: `Add a rule: ${direction}` });
  if (protocol) {
    await form.getByRole("combobox", { name: "Protocol" }).click();
    await page.getByRole("option", { name: protocol, exact: true }).click();
  }
  if (ports !== undefined) await form.getByLabel("Ports, or none for all").fill(ports);
  await form.getByRole("combobox", { name: direction === "ingress" ? "From" : "To", exact: true }).fill(peer);
  if (description) await form.getByLabel("Description").fill(description);
  return form;
}

export async function addRule(page: Page, rule: Rule) {
  const form = await fillRule(page, rule);
  await form.getByRole("button", { name: "Add rule" }).click();
}

// useTemplate opens what a template is for, with one click.
export async function useTemplate(page: Page, template: string, peer?: string) {
  if (peer) await page.getByRole("combobox", { name: "One click opens, from" }).fill(peer);
  await page.getByRole("group", { name: "Templates" }).getByRole("button", { name: template, exact: true }).click();
}

// rules are a group's, of one direction.
export const rules = (page: Page, direction: "ingress" | "egress" = "ingress") =>
  page.getByRole("table", { name: `Rules: ${direction}` });
