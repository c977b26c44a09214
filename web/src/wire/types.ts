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
export type Shape = Schemas["Shape"];
export type Stroke = Schemas["Stroke"];
export type Tiles = Schemas["Tiles"];
export type Edit = Schemas["Edit"];
export type FillName = Edit["fill"] & string;
export type Edited = Schemas["EditedAnswer"];
export type Patch = Schemas["Patch"];
export type Hidden = Schemas["PlacesAnswer"];
export type HiddenPlace = Schemas["HiddenPlace"];
export type Deletion = Schemas["DeletionAnswer"];
export type Depth = Schemas["DepthAnswer"];
export type Switch = Schemas["Switch"];
export type Switched = Schemas["SwitchedAnswer"];
export type Channels = Schemas["ChannelsAnswer"];
