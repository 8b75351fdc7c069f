import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { Navigate, Route, Routes } from "react-router";
import { Problem } from "./api/client";
import { session } from "./api/queries";
import { ActivityPage } from "./pages/ActivityPage";
import { ExplainPage } from "./pages/ExplainPage";
import { FlowsPage } from "./pages/FlowsPage";
import { GroupPage } from "./pages/GroupPage";
import { GroupsPage } from "./pages/GroupsPage";
import { HostsPage } from "./pages/HostsPage";
import { InstancePage } from "./pages/InstancePage";
import { InstancesPage } from "./pages/InstancesPage";
import { KeysPage } from "./pages/KeysPage";
import { NotFoundPage } from "./pages/NotFoundPage";
import { OrganizationPage } from "./pages/OrganizationPage";
import { SignInPage } from "./pages/SignInPage";
import { Trouble } from "./parts/Trouble";
import { CallerProvider } from "./shell/caller";
import { Shell } from "./shell/Shell";

// The map brings its own library along: it is fetched when it is opened.
const MapPage = lazy(() => import("./pages/MapPage"));

export function App() {
  const { data, error, isPending, refetch } = useQuery(session);
  if (isPending) return null;
  // Before what was answered earlier, which stays when a session ends.
  if (error instanceof Problem && [401, 403].includes(error.status)) return <SignInPage />;
  if (data) {
    return (
      <CallerProvider caller={data}>
        <Shell>
          <Pages />
        </Shell>
      </CallerProvider>
    );
  }
  return <Trouble error={error} retry={() => void refetch()} />;
}

function Pages() {
  return (
    <Suspense>
      <Routes>
        <Route path="/" element={<Navigate to="/groups" replace />} />
        <Route path="/groups" element={<GroupsPage />} />
        <Route path="/groups/:id" element={<GroupPage />} />
        <Route path="/instances" element={<InstancesPage />} />
        <Route path="/instances/:id" element={<InstancePage />} />
        <Route path="/map" element={<MapPage />} />
        <Route path="/explain" element={<ExplainPage />} />
        <Route path="/flows" element={<FlowsPage />} />
        <Route path="/hosts" element={<HostsPage />} />
        <Route path="/activity" element={<ActivityPage />} />
        <Route path="/keys" element={<KeysPage />} />
        <Route path="/organization" element={<OrganizationPage />} />
        <Route path="*" element={<NotFoundPage />} />
      </Routes>
    </Suspense>
  );
}
