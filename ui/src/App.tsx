import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { BrowserRouter, Navigate, Route, Routes, useLocation } from 'react-router-dom';
import { ErrorBoundary } from './components/ErrorBoundary';
import { Readiness } from './components/Readiness';
import { Shell } from './components/Shell';
import { BusyBar } from './components/ui';
import { globals } from './lib/globals';
import { theme } from './theme';

// Each page is a chunk of its own: the alerts page does not wait for the query editor.
const AgentPage = lazy(() => import('./pages/AgentPage'));
const AlertmanagersPage = lazy(() => import('./pages/AlertmanagersPage'));
const AlertsPage = lazy(() => import('./pages/AlertsPage'));
const ConfigPage = lazy(() => import('./pages/ConfigPage'));
const FlagsPage = lazy(() => import('./pages/FlagsPage'));
const MachinePage = lazy(() => import('./pages/machine/MachinePage'));
const QueryPage = lazy(() => import('./pages/query/QueryPage'));
const RulesPage = lazy(() => import('./pages/RulesPage'));
const ServiceDiscoveryPage = lazy(() => import('./pages/ServiceDiscoveryPage'));
const StatusPage = lazy(() => import('./pages/StatusPage'));
const TargetsPage = lazy(() => import('./pages/TargetsPage'));
const TsdbPage = lazy(() => import('./pages/TsdbPage'));

const client = new QueryClient({
  defaultOptions: {
    queries: { retry: false, refetchOnWindowFocus: false, networkMode: 'always' },
  },
});

// Plain updates, not transitions: a click on Execute changes the address and the state of the panel
// in one rendering, so that one query is sent and not two.
const kRouterFuture = { v7_startTransition: false, v7_relativeSplatPath: true } as const;

function Pages() {
  const location = useLocation();
  const start = globals.agentMode ? '/agent' : '/query';
  return (
    <ErrorBoundary key={location.pathname}>
      <Suspense fallback={<BusyBar busy />}>
        <Routes>
          <Route path="/query" element={<QueryPage />} />
          <Route path="/graph" element={<Navigate to={`/query${location.search}`} replace />} />
          <Route path="/machine" element={<MachinePage />} />
          <Route path="/alerts" element={<AlertsPage />} />
          <Route path="/rules" element={<RulesPage />} />
          <Route path="/alertmanager-discovery" element={<AlertmanagersPage />} />
          <Route path="/targets" element={<TargetsPage />} />
          <Route path="/service-discovery" element={<ServiceDiscoveryPage />} />
          <Route path="/status" element={<StatusPage />} />
          <Route path="/tsdb-status" element={<TsdbPage />} />
          <Route path="/config" element={<ConfigPage />} />
          <Route path="/flags" element={<FlagsPage />} />
          <Route path="/agent" element={<AgentPage />} />
          <Route path="*" element={<Navigate to={start} replace />} />
        </Routes>
      </Suspense>
    </ErrorBoundary>
  );
}

export function App() {
  return (
    <BrowserRouter basename={globals.pathPrefix} future={kRouterFuture}>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <QueryClientProvider client={client}>
          <Shell>
            <Readiness>
              <Pages />
            </Readiness>
          </Shell>
        </QueryClientProvider>
      </MantineProvider>
    </BrowserRouter>
  );
}
