import { ActionIcon, Button, Kbd, Menu, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { IconMenu2, IconMoon, IconSearch, IconSun, IconUser } from "@tabler/icons-react";
import { useState, type ReactNode } from "react";
import { Link, NavLink } from "react-router";
import { answer, api } from "../api/client";
import { queries } from "../api/cache";
import { useCaller } from "./caller";
import { attempt } from "./outcome";
import { Outcomes } from "./Outcomes";
import { openPalette, Palette } from "./Palette";
import { places } from "./places";
import { Shortcuts } from "./Shortcuts";
import { Staleness } from "./Staleness";
import classes from "./Shell.module.css";

export function Shell({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#main">
        Skip to content
      </a>
      <Header onMenu={() => setOpen(!open)} open={open} />
      <Navigation open={open} onChoose={() => setOpen(false)} />
      <main id="main" className={classes.main}>
        <Staleness />
        {children}
      </main>
      <Outcomes />
      <Palette />
      <Shortcuts />
    </div>
  );
}

function Header({ onMenu, open }: { onMenu: () => void; open: boolean }) {
  return (
    <header className={classes.header}>
      <ActionIcon
        className={classes.burger}
        variant="subtle"
        color="gray"
        size="lg"
        onClick={onMenu}
        aria-label="Menu"
        aria-expanded={open}
      >
        <IconMenu2 size={20} />
      </ActionIcon>
      <Link to="/groups" className={classes.brand}>
        <img src="/favicon.svg" width={26} height={26} alt="" />
        Gabion
      </Link>
      <Button
        className={classes.search}
        variant="default"
        onClick={openPalette}
        aria-label="Search"
        leftSection={<IconSearch size={16} />}
        justify="space-between"
        rightSection={<Kbd size="xs">Ctrl K</Kbd>}
      >
        <span className={classes.searchText}>Search groups, instances, pages</span>
      </Button>
      <SchemeToggle />
      <Account />
    </header>
  );
}

function SchemeToggle() {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={dark ? "Light colours" : "Dark colours"}
      onClick={() => setColorScheme(dark ? "light" : "dark")}
    >
      {dark ? <IconSun size={20} /> : <IconMoon size={20} />}
    </ActionIcon>
  );
}

async function signOut() {
  await answer(api.DELETE("/session"));
  queries.clear();
  window.location.assign("/");
}

function Account() {
  const caller = useCaller();
  return (
    <Menu position="bottom-end" width={260}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Account">
          <IconUser size={20} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {caller.name} in {caller.organization.name}
          <br />
          {caller.operator ? "operator, " : ""}
          {caller.scopes.join(", ")}
          <br />
          zone {caller.zone}, version {caller["server-version"]}
        </Menu.Label>
        <Menu.Item component={Link} to="/organization">
          Organization and quotas
        </Menu.Item>
        <Menu.Item component={Link} to="/keys">
          API keys
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={() => attempt("You are still signed in", signOut)}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Navigation({ open, onChoose }: { open: boolean; onChoose: () => void }) {
  const { operator } = useCaller();
  return (
    <nav className={classes.navigation} data-open={open || undefined} aria-label="Pages">
      {places
        .filter((place) => operator || !place.operator)
        .map(({ path, title, Icon }) => (
          <NavLink key={path} to={path} className={classes.place} onClick={onChoose}>
            <Icon size={18} stroke={1.7} />
            {title}
          </NavLink>
        ))}
    </nav>
  );
}
