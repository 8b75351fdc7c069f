// What the pages change. Each call answers an operation; success means enforced.
import { answer, api } from "./client";
import type { NewInstance, NewRule } from "./types";

const path = (id: string) => ({ path: { id } });

export const createGroup = (name: string, description: string) =>
  answer(api.POST("/security-group", { body: { name, description } }));

export const updateGroup = (id: string, name: string, description: string) =>
  answer(api.PUT("/security-group/{id}", { params: path(id), body: { name, description } }));

export const deleteGroup = (id: string) => answer(api.DELETE("/security-group/{id}", { params: path(id) }));

export const makePrimary = (id: string) => answer(api.PUT("/security-group/{id}:make-primary", { params: path(id) }));

export const addRules = (group: string, rules: NewRule[]) =>
  answer(api.POST("/security-group/{id}/rules:batch", { params: path(group), body: { rules } }));

export const deleteRule = (group: string, rule: string) =>
  answer(api.DELETE("/security-group/{id}/rules/{rule-id}", { params: { path: { id: group, "rule-id": rule } } }));

export const addSource = (group: string, cidr: string) =>
  answer(api.PUT("/security-group/{id}:add-source", { params: path(group), body: { cidr } }));

export const removeSource = (group: string, cidr: string) =>
  answer(api.PUT("/security-group/{id}:remove-source", { params: path(group), body: { cidr } }));

export const attach = (group: string, instance: string) =>
  answer(api.PUT("/security-group/{id}:attach", { params: path(group), body: { instance: { id: instance } } }));

export const detach = (group: string, instance: string) =>
  answer(api.PUT("/security-group/{id}:detach", { params: path(group), body: { instance: { id: instance } } }));

export const createInstance = (body: NewInstance) => answer(api.POST("/instance", { body }));

export const deleteInstance = (id: string) => answer(api.DELETE("/instance/{id}", { params: path(id) }));
