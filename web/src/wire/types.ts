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
export type Truth = Schemas["TruthAnswer"];
export type PartTruth = Schemas["PartTruth"];
export type ChangedScene = Schemas["SceneAnswer"];
export type Drawn = Schemas["DrawAnswer"];
export type SceneChange = Schemas["Removal"] | Schemas["OtherLook"] | Schemas["Move"] | Schemas["OtherBackground"];
export type Channels = Schemas["LayerChannels"];
export type ChannelEntry = Schemas["ChannelEntry"];
export type ChannelHere = Schemas["ChannelHere"];
export type ChannelPhotos = Schemas["ChannelPhotos"];
export type PhotoOfChannel = Schemas["PhotoOfChannel"];
export type ChannelOff = Schemas["ChannelOff"];
export type FeatureFrame = Schemas["FeatureFrame"];
