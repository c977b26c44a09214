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
export type Tree = Schemas["TreeAnswer"];
export type TreeStage = Schemas["TreeStage"];
export type TreeNode = Schemas["TreeNode"];
export type Branch = Schemas["BranchAnswer"];
export type Effects = Schemas["EffectsAnswer"];
export type Without = Schemas["WithoutAnswer"];
export type Elsewhere = Schemas["ElsewhereAnswer"];
export type PartImage = Schemas["PartImageAnswer"];
export type Parts = Schemas["PartsAnswer"];
export type RankedPart = Schemas["RankedPart"];
