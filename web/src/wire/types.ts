// Names for what crosses the wire; the shapes come from the server's schema.
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Grid = Schemas["GridAnswer"];
export type WireMap = Schemas["MapAnswer"];
export type Decision = Schemas["DecisionAnswer"];
export type Scores = Schemas["ScoresAnswer"];
export type ClassScore = Schemas["ClassScore"];
export type Library = Schemas["LibraryAnswer"];
export type PhotoEntry = Schemas["PhotoEntry"];
export type ModelEntry = Schemas["ModelEntry"];
export type MethodEntry = Schemas["MethodEntry"];
export type Stages = Schemas["StagesAnswer"];
export type Measured = Schemas["MeasuredAnswer"];
export type MeasuredTable = Schemas["MeasuredTable"];
export type MeasuredColumn = Schemas["MeasuredColumn"];
export type MeasuredCell = Schemas["MeasuredCell"];
export type Figure = Schemas["FigureAnswer"];
export type SavedPage = Schemas["PageAnswer"];
