import { useDisclosure } from '@mantine/hooks';
import { useEffect, type ReactNode } from 'react';
import { NavLink, useLocation } from 'react-router-dom';
import { useApi } from '../api/hooks';
import type { VectorItem } from '../api/types';
import { globals, type PageName } from '../lib/globals';
import { Icon, type IconName } from './Icon';
import { Logo } from './Logo';
import { Notifications } from './Notifications';
import { SettingsMenu } from './SettingsMenu';
import classes from './Shell.module.css';

interface Link {
  page: PageName;
  label: string;
  icon: IconName;
  server?: boolean; // Absent in agent mode.
}

const kSections: { title: string; links: Link[] }[] = [
  {
    title: 'Explore',
    links: [
      { page: 'agent', label: 'Agent', icon: 'agent' },
      { page: 'query', label: 'Query', icon: 'query', server: true },
      { page: 'machine', label: 'This machine', icon: 'machine', server: true },
    ],
  },
  {
    title: 'Alerting',
    links: [
      { page: 'alerts', label: 'Alerts', icon: 'alerts', server: true },
      { page: 'rules', label: 'Rules', icon: 'rules', server: true },
      { page: 'alertmanager-discovery', label: 'Alertmanagers', icon: 'send' },
    ],
  },
  {
    title: 'Scraping',
    links: [
      { page: 'targets', label: 'Targets', icon: 'targets' },
      { page: 'service-discovery', label: 'Service discovery', icon: 'discovery' },
    ],
  },
  {
    title: 'Server',
    links: [
      { page: 'status', label: 'Status', icon: 'status' },
      { page: 'tsdb-status', label: 'Storage', icon: 'database', server: true },
      { page: 'config', label: 'Configuration', icon: 'config' },
      { page: 'flags', label: 'Flags', icon: 'flags' },
    ],
  },
];

// True when a node exporter of some machine has been scraped of late.
function useHasMachine(): boolean {
  const answer = useApi<{ result: VectorItem[] }>(
    '/query',
    { query: 'count(node_uname_info or node_load1)' },
    { enabled: !globals.agentMode, staleMs: 60_000, refreshMs: 120_000 },
  );
  return (answer.data?.data.result.length ?? 0) > 0;
}

export function Shell({ children }: { children: ReactNode }) {
  const [open, menu] = useDisclosure(false);
  const hasMachine = useHasMachine();
  const { pathname } = useLocation();
  const close = menu.close;
  useEffect(() => close(), [pathname, close]);

  const visible = (link: Link) =>
    link.page === 'machine'
      ? !globals.agentMode && (hasMachine || pathname === '/machine')
      : link.page === 'agent'
        ? globals.agentMode
        : !(link.server && globals.agentMode);

  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#main">
        Skip to content
      </a>
      <header className={classes.side} data-open={open || undefined}>
        <div className={classes.brand}>
          <NavLink
            to={globals.agentMode ? '/agent' : '/query'}
            className={classes.home}
            aria-label="narthex, start page"
          >
            <Logo />
            <span>narthex</span>
          </NavLink>
          <button
            type="button"
            className={classes.burger}
            aria-label="Navigation"
            aria-expanded={open}
            onClick={menu.toggle}
          >
            <Icon name={open ? 'close' : 'menu'} size={18} />
          </button>
        </div>
        <nav aria-label="Pages" className={classes.nav}>
          {kSections.map((section) => {
            const links = section.links.filter(visible);
            if (links.length === 0) return null;
            return (
              <div key={section.title} className={classes.section}>
                <div className={classes.sectionTitle}>{section.title}</div>
                {links.map((link) => (
                  <NavLink key={link.page} to={`/${link.page}`} className={classes.link}>
                    <Icon name={link.icon} />
                    {link.label}
                  </NavLink>
                ))}
              </div>
            );
          })}
          {globals.consolesLink !== '' && (
            <a className={classes.link} href={globals.consolesLink}>
              <Icon name="consoles" />
              Consoles
            </a>
          )}
        </nav>
        <div className={classes.tools}>
          <Notifications />
          <SettingsMenu />
        </div>
      </header>
      <main id="main" tabIndex={-1} className={classes.main}>
        {children}
      </main>
    </div>
  );
}
